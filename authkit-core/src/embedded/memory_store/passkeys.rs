//! Passkeys and their challenges.

use crate::model::{Committed, CredentialId, Passkey, PasskeyChallenge, PasskeyChange, PasskeyWithUser, UserStatus};
use crate::ports::store::{CommitError, Conflict};
use crate::primitives::{PasskeyChallengeId, PasskeyId, UserId};

use super::Tables;
use super::table::Table;

/// The passkeys and the challenges, each by its id.
#[derive(Default)]
pub(super) struct Passkeys {
    rows: Table<PasskeyId, Passkey>,
    challenges: Table<PasskeyChallengeId, PasskeyChallenge>,
}

impl Passkeys {
    /// The passkeys of an account, the oldest first.
    pub(super) fn of(&self, user_id: UserId) -> Vec<Passkey> {
        self.rows.rows().values().filter(|passkey| passkey.user_id == user_id).cloned().collect()
    }

    /// Forgets the passkeys of an account.
    pub(super) fn forget_all_of(&mut self, user_id: UserId) {
        for passkey in self.of(user_id) {
            self.rows.remove(&passkey.id);
        }
    }

    pub(super) fn keep(&mut self) {
        self.rows.keep();
        self.challenges.keep();
    }

    pub(super) fn take_back(&mut self) {
        self.rows.take_back();
        self.challenges.take_back();
    }

    fn get(&self, id: PasskeyId) -> Option<&Passkey> {
        self.rows.rows().get(&id)
    }

    fn of_account(&self, id: PasskeyId, user_id: UserId) -> Result<Passkey, Conflict> {
        self.get(id).filter(|passkey| passkey.user_id == user_id).cloned().ok_or(Conflict::PasskeyGone)
    }

    fn by_credential(&self, credential_id: &CredentialId) -> Option<&Passkey> {
        self.rows.rows().values().find(|passkey| passkey.credential_id == *credential_id)
    }
}

/// The passkey that an authenticator calls this, and its account.
pub(super) fn with_user(tables: &Tables, credential_id: &CredentialId) -> Option<PasskeyWithUser> {
    let passkey = tables.passkeys.by_credential(credential_id)?.clone();
    let user = tables.users.open(passkey.user_id)?.user.clone();
    Some(PasskeyWithUser { passkey, user })
}

pub(super) fn apply(tables: &mut Tables, change: &PasskeyChange, committed: &mut Committed) -> Result<(), CommitError> {
    let Tables { users, passkeys, .. } = tables;
    match change {
        PasskeyChange::Insert { passkey, auth_epoch, at_most } => {
            let account = users.open(passkey.user_id).map(|account| &account.user);
            account
                .filter(|user| user.status == UserStatus::Active && user.auth_epoch == *auth_epoch)
                .ok_or(Conflict::UserChanged)?;
            if passkeys.get(passkey.id).is_some() || passkeys.by_credential(&passkey.credential_id).is_some() {
                return Err(Conflict::PasskeyTaken.into());
            }
            if passkeys.of(passkey.user_id).len() >= usize::try_from(*at_most).unwrap_or(usize::MAX) {
                return Err(Conflict::PasskeyLimit.into());
            }
            passkeys.rows.put(passkey.id, (**passkey).clone());
        }
        PasskeyChange::Use { id, from, sign_count, backed_up, at } => {
            let found = passkeys.get(*id).filter(|passkey| passkey.sign_count == *from).cloned();
            let passkey = found.ok_or(Conflict::PasskeyUsed)?;
            let (sign_count, backed_up, last_used_at) = (*sign_count, *backed_up, Some(*at));
            passkeys.rows.put(*id, Passkey { sign_count, backed_up, last_used_at, ..passkey });
        }
        PasskeyChange::Rename { id, user_id, name } => {
            let passkey = passkeys.of_account(*id, *user_id)?;
            passkeys.rows.put(*id, Passkey { name: name.clone(), ..passkey });
        }
        PasskeyChange::Delete { id, user_id } => {
            passkeys.of_account(*id, *user_id)?;
            let has_password = users.open(*user_id).is_some_and(|account| account.password.is_some());
            if !has_password && passkeys.of(*user_id).len() < 2 {
                return Err(Conflict::LastWayIn.into());
            }
            passkeys.rows.remove(id);
        }
        PasskeyChange::ForgetAllOf { user_id } => passkeys.forget_all_of(*user_id),
        PasskeyChange::Challenge(challenge) => {
            if passkeys.challenges.rows().contains_key(&challenge.id) {
                return Err(Conflict::DuplicateId.into());
            }
            passkeys.challenges.put(challenge.id, challenge.clone());
        }
        PasskeyChange::Answer { id, secret, at } => {
            let open = |challenge: &&PasskeyChallenge| challenge.secret == *secret && challenge.expires_at > *at;
            passkeys.challenges.rows().get(id).filter(open).ok_or(Conflict::TokenGone)?;
            passkeys.challenges.remove(id);
        }
        PasskeyChange::PurgeChallenges { expired_before, limit } => {
            let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
            let expired = passkeys.challenges.rows().values().filter(|challenge| challenge.expires_at < *expired_before);
            for id in expired.take(limit).map(|challenge| challenge.id).collect::<Vec<_>>() {
                passkeys.challenges.remove(&id);
                committed.purged += 1;
            }
        }
    }
    Ok(())
}
