//! The changes of one-time tokens and of the outbox. Both are read by scans here, which is fine for the size of a file.

use authkit_core::model::{
    Committed, OneTimePurpose, OneTimeToken, OneTimeTokenChange, OutboxChange, OutboxMessage, OutboxState,
};
use authkit_core::ports::{CommitError, Conflict, StoreError};
use authkit_core::{OneTimeTokenId, OutboxMessageId, Timestamp, UserId};
use redb::WriteTransaction;

use crate::changes::{guard, next, unknown};
use crate::reads::user;
use crate::tables::{OUTBOX, TOKENS, all, get, has, put, remove};

pub(crate) fn apply_token(
    tx: &WriteTransaction,
    change: &OneTimeTokenChange,
    committed: &mut Committed,
) -> Result<(), CommitError> {
    match change {
        OneTimeTokenChange::Insert(token) => {
            guard(user(tx, token.user_id)?.is_some(), Conflict::UserChanged)?;
            guard(!has(tx, TOKENS, token.id.as_uuid())?, Conflict::DuplicateId)?;
            put(tx, &**token)?;
        }
        OneTimeTokenChange::Consume { id, purpose, secret, at } => {
            let token = live(tx, *id, *purpose, *at)?;
            guard(token.is_some_and(|token| token.secret == *secret), Conflict::TokenGone)?;
            remove(tx, TOKENS, id.as_uuid())?;
        }
        OneTimeTokenChange::SpendAttempt { id, purpose, at } => {
            let token = live(tx, *id, *purpose, *at)?.filter(|token| token.attempts_left > 0).ok_or(Conflict::TokenGone)?;
            put(tx, &OneTimeToken { attempts_left: token.attempts_left - 1, ..token })?;
        }
        OneTimeTokenChange::RevokeAllOf { user_id, purpose } => revoke_all_of(tx, *user_id, *purpose)?,
        OneTimeTokenChange::Purge { expired_before, limit } => {
            let mut expired: Vec<OneTimeToken> = all(tx)?;
            expired.retain(|token| token.expires_at < *expired_before);
            for token in expired.into_iter().take(usize::try_from(*limit).unwrap_or(usize::MAX)) {
                remove(tx, TOKENS, token.id.as_uuid())?;
                committed.purged += 1;
            }
        }
        _ => return Err(unknown()),
    }
    Ok(())
}

pub(crate) fn apply_outbox(tx: &WriteTransaction, change: &OutboxChange, committed: &mut Committed) -> Result<(), CommitError> {
    match change {
        OutboxChange::Enqueue(message) => {
            guard(!has(tx, OUTBOX, message.id.as_uuid())?, Conflict::DuplicateId)?;
            let (state, finished_at, last_error) = (OutboxState::Pending, None, None);
            put(tx, &OutboxMessage { state, attempts: 0, finished_at, last_error, ..(**message).clone() })?;
        }
        OutboxChange::Claim { at, lease_until, limit } => {
            let mut due: Vec<OutboxMessage> = all(tx)?;
            due.retain(|message| message.state == OutboxState::Pending && message.due_at <= *at);
            due.sort_by_key(|message| (message.due_at, message.id));
            for message in due.into_iter().take(usize::try_from(*limit).unwrap_or(usize::MAX)) {
                let message = OutboxMessage { attempts: next(message.attempts)?, due_at: *lease_until, ..message };
                put(tx, &message)?;
                committed.claimed.push(message);
            }
        }
        OutboxChange::Deliver { id, attempt, at } => {
            let (state, finished_at) = (OutboxState::Delivered, Some(*at));
            let message = claimed(tx, *id, *attempt)?;
            put(tx, &OutboxMessage { state, finished_at, payload: None, last_error: None, ..message })?;
        }
        OutboxChange::Defer { id, attempt, due_at, error } => {
            let message = claimed(tx, *id, *attempt)?;
            put(tx, &OutboxMessage { due_at: *due_at, last_error: Some(error.clone()), ..message })?;
        }
        OutboxChange::Bury { id, attempt, at, error } => {
            let (state, finished_at) = (OutboxState::Dead, Some(*at));
            let message = claimed(tx, *id, *attempt)?;
            put(tx, &OutboxMessage { state, finished_at, last_error: Some(error.clone()), ..message })?;
        }
        OutboxChange::Expire { id, attempt, at } => {
            let (state, finished_at) = (OutboxState::Expired, Some(*at));
            let message = claimed(tx, *id, *attempt)?;
            put(tx, &OutboxMessage { state, finished_at, payload: None, ..message })?;
        }
        OutboxChange::Retry { id, at } => {
            let message: Option<OutboxMessage> = get(tx, id.as_uuid())?;
            let dead = |message: &OutboxMessage| message.state == OutboxState::Dead && message.expires_at > *at;
            let message = message.filter(dead).ok_or(Conflict::MessageMoved)?;
            let (state, finished_at) = (OutboxState::Pending, None);
            put(tx, &OutboxMessage { state, finished_at, attempts: 0, due_at: *at, ..message })?;
        }
        OutboxChange::Discard { id } => guard(remove(tx, OUTBOX, id.as_uuid())?, Conflict::MessageMoved)?,
        OutboxChange::Purge { finished_before, limit } => {
            let mut over: Vec<OutboxMessage> = all(tx)?;
            over.retain(|message| message.finished_at.is_some_and(|at| at < *finished_before));
            for message in over.into_iter().take(usize::try_from(*limit).unwrap_or(usize::MAX)) {
                remove(tx, OUTBOX, message.id.as_uuid())?;
                committed.purged += 1;
            }
        }
        _ => return Err(unknown()),
    }
    Ok(())
}

/// Forgets what an account that closes has outstanding.
pub(crate) fn forget_all_of(tx: &WriteTransaction, user_id: UserId) -> Result<(), StoreError> {
    revoke_all_of(tx, user_id, None)?;
    for message in all::<OutboxMessage>(tx)? {
        if message.user_id == Some(user_id) {
            remove(tx, OUTBOX, message.id.as_uuid())?;
        }
    }
    Ok(())
}

fn revoke_all_of(tx: &WriteTransaction, user_id: UserId, purpose: Option<OneTimePurpose>) -> Result<(), StoreError> {
    for token in all::<OneTimeToken>(tx)? {
        if token.user_id == user_id && purpose.is_none_or(|purpose| token.purpose == purpose) {
            remove(tx, TOKENS, token.id.as_uuid())?;
        }
    }
    Ok(())
}

fn live(
    tx: &WriteTransaction,
    id: OneTimeTokenId,
    purpose: OneTimePurpose,
    at: Timestamp,
) -> Result<Option<OneTimeToken>, StoreError> {
    let token: Option<OneTimeToken> = get(tx, id.as_uuid())?;
    Ok(token.filter(|token| token.purpose == purpose && token.expires_at > at))
}

/// The message that a worker claimed, while it is still that worker's.
fn claimed(tx: &WriteTransaction, id: OutboxMessageId, attempt: u32) -> Result<OutboxMessage, CommitError> {
    let message: Option<OutboxMessage> = get(tx, id.as_uuid())?;
    let message = message.filter(|message| message.state == OutboxState::Pending && message.attempts == attempt);
    message.ok_or_else(|| Conflict::MessageMoved.into())
}
