//! Passkeys and their challenges. The passkeys of one account are read by a scan here, which is fine for the size of a file.

use authkit_core::model::{Committed, CredentialId, Passkey, PasskeyChange, PasskeyWithUser, UserStatus};
use authkit_core::ports::{CommitError, Conflict, StoreError};
use authkit_core::{Digest, PasskeyId, UserId};
use redb::{ReadableTable as _, WriteTransaction};
use uuid::Uuid;

use crate::changes::{guard, unknown};
use crate::reads::{password, user};
use crate::tables::{
    PASSKEY_CHALLENGES, PASSKEYS, PASSKEYS_BY_CREDENTIAL, Readable, all, broken, get, has, put, remove, set, value,
};

pub(crate) fn apply(tx: &WriteTransaction, change: &PasskeyChange, committed: &mut Committed) -> Result<(), CommitError> {
    match change {
        PasskeyChange::Insert { passkey, auth_epoch, at_most } => {
            let fits = user(tx, passkey.user_id)?
                .is_some_and(|user| user.status == UserStatus::Active && user.auth_epoch == *auth_epoch);
            guard(fits, Conflict::UserChanged)?;
            let called = passkey.credential_id.as_bytes();
            let taken = has(tx, PASSKEYS, passkey.id.as_uuid())? || has(tx, PASSKEYS_BY_CREDENTIAL, called)?;
            guard(!taken, Conflict::PasskeyTaken)?;
            let has_room = of(tx, passkey.user_id)?.len() < usize::try_from(*at_most).unwrap_or(usize::MAX);
            guard(has_room, Conflict::PasskeyLimit)?;
            set(tx, PASSKEYS_BY_CREDENTIAL, called, passkey.id.as_uuid())?;
            put(tx, &**passkey)?;
        }
        PasskeyChange::Use { id, from, sign_count, backed_up, at } => {
            let passkey: Option<Passkey> = get(tx, id.as_uuid())?;
            let passkey = passkey.filter(|passkey| passkey.sign_count == *from).ok_or(Conflict::PasskeyUsed)?;
            let (sign_count, backed_up, last_used_at) = (*sign_count, *backed_up, Some(*at));
            put(tx, &Passkey { sign_count, backed_up, last_used_at, ..passkey })?;
        }
        PasskeyChange::Rename { id, user_id, name } => {
            let passkey = of_account(tx, *id, *user_id)?;
            put(tx, &Passkey { name: name.clone(), ..passkey })?;
        }
        PasskeyChange::Delete { id, user_id } => {
            let passkey = of_account(tx, *id, *user_id)?;
            let another = password(tx, *user_id)?.is_some() || of(tx, *user_id)?.len() > 1;
            guard(another, Conflict::LastWayIn)?;
            forget(tx, &passkey)?;
        }
        PasskeyChange::ForgetAllOf { user_id } => forget_all_of(tx, *user_id)?,
        PasskeyChange::Challenge(challenge) => {
            let id = challenge.id.as_uuid();
            guard(!has(tx, PASSKEY_CHALLENGES, id)?, Conflict::DuplicateId)?;
            set(tx, PASSKEY_CHALLENGES, id, (*challenge.secret.as_bytes(), challenge.expires_at.unix_micros()))?;
        }
        PasskeyChange::Answer { id, secret, at } => {
            let open = value(tx, PASSKEY_CHALLENGES, id.as_uuid(), |(kept, expires_at)| {
                Digest::from_bytes(kept) == *secret && expires_at > at.unix_micros()
            })?;
            guard(open == Some(true), Conflict::TokenGone)?;
            remove(tx, PASSKEY_CHALLENGES, id.as_uuid())?;
        }
        PasskeyChange::PurgeChallenges { expired_before, limit } => {
            let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
            for id in expired(tx, expired_before.unix_micros(), limit)? {
                remove(tx, PASSKEY_CHALLENGES, id)?;
                committed.purged += 1;
            }
        }
        _ => return Err(unknown()),
    }
    Ok(())
}

/// The passkeys of an account, the least id first: the order of the table.
pub(crate) fn of(tx: &impl Readable, user_id: UserId) -> Result<Vec<Passkey>, StoreError> {
    let mut passkeys: Vec<Passkey> = all(tx)?;
    passkeys.retain(|passkey| passkey.user_id == user_id);
    Ok(passkeys)
}

/// The passkey that its authenticator calls this, and its account.
pub(crate) fn by_credential(tx: &impl Readable, credential_id: &CredentialId) -> Result<Option<PasskeyWithUser>, StoreError> {
    let Some(id) = value(tx, PASSKEYS_BY_CREDENTIAL, credential_id.as_bytes(), |id| id)? else { return Ok(None) };
    let Some(passkey) = get::<Passkey>(tx, id)? else { return Ok(None) };
    Ok(user(tx, passkey.user_id)?.map(|user| PasskeyWithUser { passkey, user }))
}

/// Forgets the passkeys of an account.
pub(crate) fn forget_all_of(tx: &WriteTransaction, user_id: UserId) -> Result<(), StoreError> {
    of(tx, user_id)?.iter().try_for_each(|passkey| forget(tx, passkey))
}

fn forget(tx: &WriteTransaction, passkey: &Passkey) -> Result<(), StoreError> {
    remove(tx, PASSKEYS_BY_CREDENTIAL, passkey.credential_id.as_bytes())?;
    remove(tx, PASSKEYS, passkey.id.as_uuid())?;
    Ok(())
}

fn of_account(tx: &WriteTransaction, id: PasskeyId, user_id: UserId) -> Result<Passkey, CommitError> {
    let passkey: Option<Passkey> = get(tx, id.as_uuid())?;
    passkey.filter(|passkey| passkey.user_id == user_id).ok_or_else(|| Conflict::PasskeyGone.into())
}

fn expired(tx: &WriteTransaction, before: i64, limit: usize) -> Result<Vec<Uuid>, StoreError> {
    let rows = tx.rows(PASSKEY_CHALLENGES)?;
    let mut expired = Vec::new();
    for row in rows.iter().map_err(broken)? {
        let (id, challenge) = row.map_err(broken)?;
        if expired.len() < limit && challenge.value().1 < before {
            expired.push(id.value());
        }
    }
    Ok(expired)
}
