//! One-time tokens.

use crate::model::{Committed, OneTimePurpose, OneTimeToken, OneTimeTokenChange, OneTimeTokenWithUser};
use crate::ports::store::{CommitError, Conflict};
use crate::primitives::{OneTimeTokenId, Timestamp, UserId};

use super::Tables;
use super::table::Table;

/// The tokens by their id.
#[derive(Default)]
pub(super) struct OneTimeTokens {
    rows: Table<OneTimeTokenId, OneTimeToken>,
}

impl OneTimeTokens {
    /// Forgets the tokens of an account, of one purpose or of all.
    pub(super) fn revoke_all_of(&mut self, user_id: UserId, purpose: Option<OneTimePurpose>) {
        let of = |token: &&OneTimeToken| token.user_id == user_id && purpose.is_none_or(|purpose| token.purpose == purpose);
        for id in self.rows.rows().values().filter(of).map(|token| token.id).collect::<Vec<_>>() {
            self.rows.remove(&id);
        }
    }

    pub(super) fn keep(&mut self) {
        self.rows.keep();
    }

    pub(super) fn take_back(&mut self) {
        self.rows.take_back();
    }

    fn live(&self, id: OneTimeTokenId, purpose: OneTimePurpose, at: Timestamp) -> Option<&OneTimeToken> {
        self.rows.rows().get(&id).filter(|token| token.purpose == purpose && token.expires_at > at)
    }
}

/// A token and its account, unless that is closed.
pub(super) fn with_user(tables: &Tables, id: OneTimeTokenId, purpose: OneTimePurpose) -> Option<OneTimeTokenWithUser> {
    let token = tables.tokens.rows.rows().get(&id).filter(|token| token.purpose == purpose)?;
    let user = tables.users.open(token.user_id)?.user.clone();
    Some(OneTimeTokenWithUser { token: token.clone(), user })
}

pub(super) fn apply(tables: &mut Tables, change: &OneTimeTokenChange, committed: &mut Committed) -> Result<(), CommitError> {
    let Tables { users, tokens, .. } = tables;
    match change {
        OneTimeTokenChange::Insert(token) => {
            users.open(token.user_id).ok_or(Conflict::UserChanged)?;
            if tokens.rows.rows().contains_key(&token.id) {
                return Err(Conflict::DuplicateId.into());
            }
            tokens.rows.put(token.id, (**token).clone());
        }
        OneTimeTokenChange::Consume { id, purpose, secret, at } => {
            let found = tokens.live(*id, *purpose, *at).is_some_and(|token| token.secret == *secret);
            if !found {
                return Err(Conflict::TokenGone.into());
            }
            tokens.rows.remove(id);
        }
        OneTimeTokenChange::SpendAttempt { id, purpose, at } => {
            let found = tokens.live(*id, *purpose, *at).filter(|token| token.attempts_left > 0).cloned();
            let token = found.ok_or(Conflict::TokenGone)?;
            tokens.rows.put(*id, OneTimeToken { attempts_left: token.attempts_left - 1, ..token });
        }
        OneTimeTokenChange::RevokeAllOf { user_id, purpose } => tokens.revoke_all_of(*user_id, *purpose),
        OneTimeTokenChange::Purge { expired_before, limit } => {
            let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
            let expired = tokens.rows.rows().values().filter(|token| token.expires_at < *expired_before).take(limit);
            for id in expired.map(|token| token.id).collect::<Vec<_>>() {
                tokens.rows.remove(&id);
                committed.purged += 1;
            }
        }
    }
    Ok(())
}
