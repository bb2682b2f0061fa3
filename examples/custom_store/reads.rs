//! The queries. Each runs in one transaction, so what it puts together belongs together.

use std::ops::Bound;

use authkit_core::OneTimeTokenId;
use authkit_core::model::StoredPassword;
use authkit_core::model::{
    AccessChange, AccessNews, AuditEvent, AuditFilter, AuditLeaf, AuditOrder, AuditSeal, Credentials, Revocation, Role,
    ServerKey, Session, SessionWithUser, StoredRoles, User, UserStatus,
};
use authkit_core::model::{GuessSubject, Guesses, LoginState};
use authkit_core::model::{OneTimePurpose, OneTimeToken, OneTimeTokenWithUser, OutboxMessage, OutboxState};
use authkit_core::model::{UserFilter, UserPage, UserPageRequest};
use authkit_core::ports::{AccessMark, RevocationMark, StoreError};
use authkit_core::{AuditEventId, Page, PageLimit, PageRequest, PasswordHash, RoleName, SessionId, Timestamp, UserId};
use redb::ReadableTable as _;
use uuid::Uuid;

use crate::records::Stored;
use crate::tables::GUESSES;
use crate::tables::OUTBOX;
use crate::tables::{
    ACCESS_CHANGES, EVENTS, EVENTS_BY_SUBJECT, Index, KEYS, LEAVES, META, PASSWORDS, REVOCATIONS, Readable, SEALS,
    SESSIONS_BY_USER, USERS_BY_EMAIL, USERS_BY_ROLE, all, broken, get, value,
};

/// The account, active or suspended.
pub(crate) fn user(tx: &impl Readable, id: UserId) -> Result<Option<User>, StoreError> {
    get(tx, id.as_uuid())
}

/// The account, if it may log in.
pub(crate) fn active_user(tx: &impl Readable, id: UserId) -> Result<Option<User>, StoreError> {
    Ok(user(tx, id)?.filter(|user| user.status == UserStatus::Active))
}

/// The hash of an account's password.
pub(crate) fn password(tx: &impl Readable, id: UserId) -> Result<Option<PasswordHash>, StoreError> {
    value(tx, PASSWORDS, id.as_uuid(), |phc| PasswordHash::from_phc(phc.to_owned()))
}

pub(crate) fn credentials(tx: &impl Readable, id: UserId) -> Result<Option<Credentials>, StoreError> {
    let Some(user) = user(tx, id)? else { return Ok(None) };
    Ok(Some(Credentials { user, password: password(tx, id)? }))
}

pub(crate) fn credentials_by_email(tx: &impl Readable, normal: &str) -> Result<Option<Credentials>, StoreError> {
    match value(tx, USERS_BY_EMAIL, normal, UserId::from_uuid)? {
        Some(id) => credentials(tx, id),
        None => Ok(None),
    }
}

/// A page of the password hashes, in the order of their accounts' ids.
pub(crate) fn password_hashes(tx: &impl Readable, page: PageRequest) -> Result<Page<StoredPassword>, StoreError> {
    let above = page.cursor.map_or(Bound::Unbounded, |cursor| Bound::Excluded(cursor.id()));
    let table = tx.rows(PASSWORDS)?;
    let mut rows = Vec::new();
    for entry in table.range::<Uuid>((above, Bound::Unbounded)).map_err(broken)?.take(usize::from(page.limit.value()) + 1) {
        let (id, hash) = entry.map_err(broken)?;
        let hash = PasswordHash::from_phc(hash.value().to_owned());
        rows.push(StoredPassword { user_id: UserId::from_uuid(id.value()), hash });
    }
    Ok(Page::from_surplus(rows, page.limit, |row| row.user_id.as_uuid()))
}

/// A scan: fine for the size of a file, where a store for millions would keep an index by the terms of
/// `authkit_core::model::user_search`.
pub(crate) fn list_users(tx: &impl Readable, filter: &UserFilter, page: &UserPageRequest) -> Result<UserPage, StoreError> {
    Ok(filter.page_of(all::<User>(tx)?, page))
}

/// The wrong guesses of a subject in a row.
pub(crate) fn guesses(tx: &impl Readable, subject: GuessSubject) -> Result<Option<Guesses>, StoreError> {
    let guesses = |(failures, at)| Guesses { failures, last_at: Timestamp::from_unix_micros(at) };
    value(tx, GUESSES, *subject.digest().as_bytes(), guesses)
}

/// What a login reads, of one snapshot.
pub(crate) fn login(
    tx: &impl Readable,
    credentials: Option<Credentials>,
    subject: GuessSubject,
    device: Option<GuessSubject>,
) -> Result<LoginState, StoreError> {
    let device_guesses = device.map(|device| guesses(tx, device)).transpose()?.flatten();
    Ok(LoginState { credentials, guesses: guesses(tx, subject)?, device_guesses })
}

/// The session, whatever became of it and of its account.
pub(crate) fn session(tx: &impl Readable, id: SessionId) -> Result<Option<Session>, StoreError> {
    get(tx, id.as_uuid())
}

pub(crate) fn session_with_user(tx: &impl Readable, id: SessionId) -> Result<Option<SessionWithUser>, StoreError> {
    let Some(session) = session(tx, id)? else { return Ok(None) };
    Ok(user(tx, session.user_id)?.map(|user| SessionWithUser { session, user }))
}

/// Every session of a user, in the order of their ids.
pub(crate) fn sessions_of(tx: &impl Readable, id: UserId) -> Result<Vec<Session>, StoreError> {
    let index = tx.rows(SESSIONS_BY_USER)?;
    let of = id.as_uuid();
    let mut sessions = Vec::new();
    for entry in index.range((of, Uuid::nil())..=(of, Uuid::max())).map_err(broken)? {
        let (_, session_id) = entry.map_err(broken)?.0.value();
        sessions.extend(get::<Session>(tx, session_id)?);
    }
    Ok(sessions)
}

pub(crate) fn live_sessions(
    tx: &impl Readable,
    id: UserId,
    now: Timestamp,
    page: PageRequest,
) -> Result<Page<Session>, StoreError> {
    if user(tx, id)?.is_none() {
        return Ok(Page { items: Vec::new(), next: None });
    }
    page_of(tx, SESSIONS_BY_USER, id, page, |session: &Session| session.is_live(now))
}

pub(crate) fn revocations_after(
    tx: &impl Readable,
    mark: RevocationMark,
    limit: PageLimit,
) -> Result<Vec<Revocation>, StoreError> {
    let at = mark.at.unix_micros();
    let start = match mark.session_id {
        Some(id) => Bound::Excluded((at, id.as_uuid())),
        None => Bound::Included((at, Uuid::nil())),
    };
    let revocations = tx.rows(REVOCATIONS)?;
    let after = revocations.range((start, Bound::Unbounded)).map_err(broken)?.take(usize::from(limit.value()));
    after
        .map(|entry| {
            let (at, id) = entry.map_err(broken)?.0.value();
            Ok(Revocation { session_id: SessionId::from_uuid(id), at: Timestamp::from_unix_micros(at) })
        })
        .collect()
}

/// The version of all roles.
pub(crate) fn roles_version(tx: &impl Readable) -> Result<u32, StoreError> {
    Ok(value(tx, META, "roles", |version| version)?.unwrap_or_default())
}

/// Every role, unless their version is known. The table is in the order of the names.
pub(crate) fn roles(tx: &impl Readable, known: Option<u32>) -> Result<Option<StoredRoles>, StoreError> {
    let version = roles_version(tx)?;
    if known == Some(version) { Ok(None) } else { Ok(Some(StoredRoles { version, roles: all::<Role>(tx)? })) }
}

pub(crate) fn access_after(tx: &impl Readable, mark: AccessMark, limit: PageLimit) -> Result<AccessNews, StoreError> {
    let at = mark.at.unix_micros();
    let start = match mark.user_id {
        Some(id) => Bound::Excluded((at, id.as_uuid())),
        None => Bound::Included((at, Uuid::nil())),
    };
    let rows = tx.rows(ACCESS_CHANGES)?;
    let mut changes = Vec::new();
    for entry in rows.range((start, Bound::Unbounded)).map_err(broken)?.take(usize::from(limit.value())) {
        let (at, id) = entry.map_err(broken)?.0.value();
        if let Some(user) = user(tx, UserId::from_uuid(id))? {
            changes.push(AccessChange { user_id: user.id, access: user.access, at: Timestamp::from_unix_micros(at) });
        }
    }
    Ok(AccessNews { roles_version: roles_version(tx)?, changes })
}

/// Whose the role is, the greatest id first, from below a cursor.
pub(crate) fn holders(tx: &impl Readable, role: &RoleName, before: Option<Uuid>, limit: usize) -> Result<Vec<User>, StoreError> {
    let end = before.map_or(Bound::Included((role.as_str(), Uuid::max())), |before| Bound::Excluded((role.as_str(), before)));
    let rows = tx.rows(USERS_BY_ROLE)?;
    let mut found = Vec::new();
    for entry in rows.range((Bound::Included((role.as_str(), Uuid::nil())), end)).map_err(broken)?.rev().take(limit) {
        let (_, id) = entry.map_err(broken)?.0.value();
        found.extend(user(tx, UserId::from_uuid(id))?);
    }
    Ok(found)
}

pub(crate) fn users_with_role(tx: &impl Readable, role: &RoleName, page: PageRequest) -> Result<Page<User>, StoreError> {
    let found = holders(tx, role, page.cursor.map(|cursor| cursor.id()), surplus(page.limit))?;
    Ok(Page::from_surplus(found, page.limit, User::key))
}

/// Every key, in the order of purpose and serial. They are few enough to be sorted here.
pub(crate) fn server_keys(tx: &impl Readable) -> Result<Vec<ServerKey>, StoreError> {
    let rows = tx.rows(KEYS)?;
    let keys = rows.iter().map_err(broken)?.map(|entry| ServerKey::decode(entry.map_err(broken)?.1.value()));
    let mut keys = keys.collect::<Result<Vec<ServerKey>, StoreError>>()?;
    keys.sort_by_key(|key| (key.purpose, key.serial));
    Ok(keys)
}

pub(crate) fn audit_events(tx: &impl Readable, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditEvent>, StoreError> {
    let Some((from, below)) = filter.bounds(page) else { return Ok(Page { items: Vec::new(), next: None }) };
    let rows = tx.rows(EVENTS)?;
    let decoded =
        |entry: Result<(_, redb::AccessGuard<'_, &'static [u8]>), _>| AuditEvent::decode(entry.map_err(broken)?.1.value());
    let mut range = rows.range::<Uuid>(from.as_uuid()..below.as_uuid()).map_err(broken)?.map(decoded);
    let index = tx.rows(EVENTS_BY_SUBJECT)?;
    let mut found = Vec::new();
    // One account has an index of its own; the rest is a scan, which a store for millions would have an index for as well.
    let mut of_subject = match filter.subject {
        None => None,
        Some(subject) => {
            let bounds = (subject.as_uuid(), from.as_uuid())..(subject.as_uuid(), below.as_uuid());
            Some(index.range(bounds).map_err(broken)?.map(|entry| {
                let id = entry.map_err(broken)?.0.value().1;
                get::<AuditEvent>(tx, id)?.ok_or_else(|| StoreError::failed("the index names an event that is not there"))
            }))
        }
    };
    while found.len() < surplus(page.limit) {
        let next = match (&mut of_subject, filter.order) {
            (Some(events), AuditOrder::OldestFirst) => events.next(),
            (Some(events), AuditOrder::NewestFirst) => events.next_back(),
            (None, AuditOrder::OldestFirst) => range.next(),
            (None, AuditOrder::NewestFirst) => range.next_back(),
        };
        let Some(event) = next.transpose()? else { break };
        if filter.fits(&event) {
            found.push(event);
        }
    }
    Ok(Page::from_surplus(found, page.limit, AuditEvent::key))
}

pub(crate) fn audit_event_count(tx: &impl Readable, from: AuditEventId, below: AuditEventId) -> Result<u64, StoreError> {
    if from >= below {
        return Ok(0);
    }
    Ok(tx.rows(EVENTS)?.range::<Uuid>(from.as_uuid()..below.as_uuid()).map_err(broken)?.count() as u64)
}

pub(crate) fn audit_seals(tx: &impl Readable, after: u64, limit: PageLimit) -> Result<Vec<AuditSeal>, StoreError> {
    let rows = tx.rows(SEALS)?;
    let behind = rows.range(after + 1..).map_err(broken)?.take(limit.value().into());
    behind.map(|entry| AuditSeal::decode(entry.map_err(broken)?.1.value())).collect()
}

pub(crate) fn last_audit_seal(tx: &impl Readable) -> Result<Option<AuditSeal>, StoreError> {
    let rows = tx.rows(SEALS)?;
    rows.last().map_err(broken)?.map(|(_, bytes)| AuditSeal::decode(bytes.value())).transpose()
}

pub(crate) fn audit_leaves(tx: &impl Readable, seal: u64) -> Result<Option<Vec<AuditLeaf>>, StoreError> {
    let leaves = value(tx, LEAVES, seal, AuditLeaf::from_bytes)?;
    leaves.map(|leaves| leaves.ok_or_else(|| StoreError::failed("the leaves of a seal are cut off"))).transpose()
}

/// The token of a purpose, and its account.
pub(crate) fn one_time_token(
    tx: &impl Readable,
    id: OneTimeTokenId,
    purpose: OneTimePurpose,
) -> Result<Option<OneTimeTokenWithUser>, StoreError> {
    let token: Option<OneTimeToken> = get(tx, id.as_uuid())?;
    let Some(token) = token.filter(|token| token.purpose == purpose) else { return Ok(None) };
    Ok(user(tx, token.user_id)?.map(|user| OneTimeTokenWithUser { token, user }))
}

/// The messages in a state. A scan: a store for millions would keep an index by the state.
pub(crate) fn outbox_messages(
    tx: &impl Readable,
    state: OutboxState,
    page: PageRequest,
) -> Result<Page<OutboxMessage>, StoreError> {
    let rows = tx.rows(OUTBOX)?;
    let end = page.cursor.map_or(Bound::Unbounded, |cursor| Bound::Excluded(cursor.id()));
    let mut found = Vec::new();
    for entry in rows.range::<Uuid>((Bound::Unbounded, end)).map_err(broken)?.rev() {
        let message = OutboxMessage::decode(entry.map_err(broken)?.1.value())?;
        if message.state == state {
            found.push(message);
        }
        if found.len() == surplus(page.limit) {
            break;
        }
    }
    Ok(Page::from_surplus(found, page.limit, OutboxMessage::key))
}

/// One page of what an index lists under an account and `wanted` wants, the greatest id first. It reads from where the last
/// page ended, never from the start, and never more than it has to.
fn page_of<M: Stored<Key = Uuid>>(
    tx: &impl Readable,
    index: Index,
    id: UserId,
    page: PageRequest,
    wanted: impl Fn(&M) -> bool,
) -> Result<Page<M>, StoreError> {
    let of = id.as_uuid();
    let end = page.cursor.map_or(Bound::Included((of, Uuid::max())), |cursor| Bound::Excluded((of, cursor.id())));
    let index = tx.rows(index)?;
    let mut found = Vec::new();
    for entry in index.range((Bound::Included((of, Uuid::nil())), end)).map_err(broken)?.rev() {
        let (_, row) = entry.map_err(broken)?.0.value();
        found.extend(get::<M>(tx, row)?.filter(&wanted));
        if found.len() == surplus(page.limit) {
            break;
        }
    }
    Ok(Page::from_surplus(found, page.limit, M::key))
}

/// One row more than the page shows tells whether there is another page.
fn surplus(limit: PageLimit) -> usize {
    usize::from(limit.value()) + 1
}
