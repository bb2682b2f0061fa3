//! The changes: one match over `Change`, each arm its guard and its write.
//!
//! redb has one writer at a time, so between the guard and the write of an arm nobody else can come: reading and then writing
//! *is* compare-and-set here. On a database with concurrent writers the guard must be part of the statement instead.
//! The docs of each variant in `authkit_core::model` say which guard it has and which conflict it fails with.

use std::cmp::Reverse;

use authkit_core::model::{
    Access, Assignment, AuditChange, AuditEvent, AuditLeaf, AuditStream, Change, Client, Committed, CredentialChange, KeyChange,
    Patch, Revocation, RevocationReason, Role, RoleChange, Rotation, Session, SessionChange, SessionWithUser, User, UserChange,
    UserStatus,
};
use authkit_core::model::{FactorChange, Factors};
use authkit_core::model::{GuessChange, GuessSubject};
use authkit_core::ports::{CommitError, Conflict, StoreError};
use authkit_core::{PasswordHash, RoleName, Timestamp, UserId};
use redb::{ReadableTable as _, WriteTransaction};

use crate::passkeys;
use crate::proofs;
use crate::reads::guesses;
use crate::reads::{
    active_user, audit_leaves, holders, last_audit_seal, password, roles_version, server_keys, session, session_with_user,
    sessions_of, user,
};
use crate::tables::{
    ACCESS_CHANGED_AT, ACCESS_CHANGES, CLOSED_USERS, EVENTS, EVENTS_BY_SUBJECT, KEYS, LEAVES, META, PASSWORDS, REVOCATIONS,
    ROLES, SESSIONS, SESSIONS_BY_USER, USERS, USERS_BY_EMAIL, USERS_BY_ROLE, all, get, has, put, remove, set, value,
};
use crate::tables::{FACTORS, GUESSES, Readable as _, broken};

/// Applies one change if its guard holds. Whoever gets an error must abort the transaction.
pub(crate) fn apply(tx: &WriteTransaction, change: &Change, committed: &mut Committed) -> Result<(), CommitError> {
    match change {
        Change::User(change) => apply_user(tx, change),
        Change::Credential(change) => apply_credential(tx, change),
        Change::Session(change) => apply_session(tx, change, committed),
        Change::Key(change) => apply_key(tx, change),
        Change::Role(change) => apply_role(tx, change),
        Change::Audit(change) => apply_audit(tx, change, committed),
        Change::Guess(change) => apply_guess(tx, change, committed),
        Change::Factor(change) => apply_factor(tx, change),
        Change::Passkey(change) => passkeys::apply(tx, change, committed),
        Change::OneTimeToken(change) => proofs::apply_token(tx, change, committed),
        Change::Outbox(change) => proofs::apply_outbox(tx, change, committed),
        _ => Err(unknown()),
    }
}

fn apply_user(tx: &WriteTransaction, change: &UserChange) -> Result<(), CommitError> {
    match change {
        UserChange::Insert(user) => {
            let (id, email) = (user.id.as_uuid(), user.email.normal());
            guard(!has(tx, USERS_BY_EMAIL, email)?, Conflict::EmailTaken)?;
            guard(!has(tx, USERS, id)? && !has(tx, CLOSED_USERS, id)?, Conflict::DuplicateId)?;
            set(tx, USERS_BY_EMAIL, email, id)?;
            // Roles are assigned, never brought along.
            put(tx, &User { access: Access::default(), ..user.clone() })?;
        }
        UserChange::UpdateProfile { id, full_name, locale, at } => {
            let mut user = active_user(tx, *id)?.ok_or(Conflict::UserChanged)?;
            patch(&mut user.full_name, full_name);
            patch(&mut user.locale, locale);
            put_changed(tx, user, *at)?;
        }
        UserChange::VerifyEmail { id, email, at } => {
            let mut user = active_user(tx, *id)?.filter(|user| user.email == *email).ok_or(Conflict::UserChanged)?;
            user.email_verified_at = user.email_verified_at.or(Some(*at));
            put_changed(tx, user, *at)?;
        }
        UserChange::ChangeEmail { id, from, to, at } => {
            let owner = value(tx, USERS_BY_EMAIL, to.normal(), UserId::from_uuid)?;
            guard(owner.is_none_or(|owner| owner == *id), Conflict::EmailTaken)?;
            let mut user = active_user(tx, *id)?.filter(|user| user.email == *from).ok_or(Conflict::UserChanged)?;
            remove(tx, USERS_BY_EMAIL, from.normal())?;
            set(tx, USERS_BY_EMAIL, to.normal(), id.as_uuid())?;
            user.email = to.clone();
            user.email_verified_at = Some(*at);
            put_changed(tx, user, *at)?;
        }
        UserChange::RaiseAuthEpoch { id, from, at } => {
            let mut user = active_user(tx, *id)?.filter(|user| user.auth_epoch == *from).ok_or(Conflict::UserChanged)?;
            user.auth_epoch = next(user.auth_epoch)?;
            put_changed(tx, user, *at)?;
        }
        UserChange::Update { id, from, email, full_name, locale, at } => {
            if let Some(email) = email {
                let owner = value(tx, USERS_BY_EMAIL, email.normal(), |owner| owner)?;
                guard(owner.is_none_or(|owner| owner == id.as_uuid()), Conflict::EmailTaken)?;
            }
            let mut user = unchanged(tx, *id, *from)?;
            if let Some(email) = email {
                remove(tx, USERS_BY_EMAIL, user.email.normal())?;
                set(tx, USERS_BY_EMAIL, email.normal(), id.as_uuid())?;
                user.email = email.clone();
                user.email_verified_at = None;
                user.auth_epoch = next(user.auth_epoch)?;
            }
            patch(&mut user.full_name, full_name);
            patch(&mut user.locale, locale);
            put_changed(tx, user, *at)?;
        }
        UserChange::Suspend { id, from, at } => {
            let mut user = unchanged(tx, *id, *from)?;
            guard(user.status == UserStatus::Active, Conflict::UserChanged)?;
            user.status = UserStatus::Suspended;
            user.auth_epoch = next(user.auth_epoch)?;
            put_changed(tx, user, *at)?;
        }
        UserChange::Restore { id, from, at } => {
            let user = unchanged(tx, *id, *from)?;
            guard(user.status == UserStatus::Suspended, Conflict::UserChanged)?;
            put_changed(tx, User { status: UserStatus::Active, ..user }, *at)?;
        }
        UserChange::Expect { id, version } => {
            unchanged(tx, *id, *version)?;
        }
        UserChange::SetSecondFactors { id, from, to, at } => {
            let mut user = user(tx, *id)?.filter(|user| user.auth_epoch == *from).ok_or(Conflict::UserChanged)?;
            user.auth_epoch = next(user.auth_epoch)?;
            user.second_factors = *to;
            put_changed(tx, user, *at)?;
        }
        UserChange::Close { id, at: _ } => {
            let user = user(tx, *id)?.ok_or(Conflict::UserChanged)?;
            remove(tx, USERS, id.as_uuid())?;
            remove(tx, USERS_BY_EMAIL, user.email.normal())?;
            remove(tx, PASSWORDS, id.as_uuid())?;
            remove(tx, FACTORS, id.as_uuid())?;
            set(tx, CLOSED_USERS, id.as_uuid(), ())?;
            forget_roles(tx, &user)?;
            // The sessions stay, so that their revocation can be read, but without what was personal in them.
            for session in sessions_of(tx, *id)? {
                let (created_by, last_used_by) = (Client::default(), Client::default());
                put(tx, &Session { device_name: None, created_by, last_used_by, ..session })?;
            }
            proofs::forget_all_of(tx, *id)?;
            passkeys::forget_all_of(tx, *id)?;
        }
        UserChange::ReplaceAssignments { id, from, to, roles_version: decided_on, at } => {
            guard(roles_version(tx)? == *decided_on, Conflict::RolesChanged)?;
            let user = user(tx, *id)?.filter(|user| user.access.version == *from).ok_or(Conflict::AccessChanged)?;
            assign(tx, user, to, *at)?;
        }
        UserChange::HoldAccess { id, version } => {
            let user = active_user(tx, *id)?;
            guard(user.is_some_and(|user| user.access.version == *version), Conflict::AuthorityChanged)?;
        }
        _ => return Err(unknown()),
    }
    Ok(())
}

/// Gives an account other roles, and keeps the two indexes in step.
fn assign(tx: &WriteTransaction, user: User, to: &[Assignment], at: Timestamp) -> Result<(), CommitError> {
    forget_roles(tx, &user)?;
    for assignment in to {
        guard(has(tx, ROLES, assignment.role.as_str())?, Conflict::RolesChanged)?;
        set(tx, USERS_BY_ROLE, (assignment.role.as_str(), user.id.as_uuid()), ())?;
    }
    set(tx, ACCESS_CHANGES, (at.unix_micros(), user.id.as_uuid()), ())?;
    set(tx, ACCESS_CHANGED_AT, user.id.as_uuid(), at.unix_micros())?;
    let access = Access { version: next(user.access.version)?, assignments: to.to_vec() };
    Ok(put_changed(tx, User { access, ..user }, at)?)
}

fn forget_roles(tx: &WriteTransaction, user: &User) -> Result<(), StoreError> {
    for assignment in &user.access.assignments {
        remove(tx, USERS_BY_ROLE, (assignment.role.as_str(), user.id.as_uuid()))?;
    }
    if let Some(at) = value(tx, ACCESS_CHANGED_AT, user.id.as_uuid(), |at| at)? {
        remove(tx, ACCESS_CHANGES, (at, user.id.as_uuid()))?;
        remove(tx, ACCESS_CHANGED_AT, user.id.as_uuid())?;
    }
    Ok(())
}

fn apply_role(tx: &WriteTransaction, change: &RoleChange) -> Result<(), CommitError> {
    match change {
        RoleChange::Insert { role, from } => {
            raise_roles_version(tx, *from)?;
            guard(!has(tx, ROLES, role.name.as_str())?, Conflict::RoleTaken)?;
            put(tx, &Role { built_in: false, version: 0, ..(**role).clone() })?;
        }
        RoleChange::Update { role, from } => {
            raise_roles_version(tx, *from)?;
            let stands = custom_role(tx, &role.name)?;
            let (version, created_at) = (next(stands.version)?, stands.created_at);
            put(tx, &Role { built_in: false, version, created_at, ..(**role).clone() })?;
        }
        RoleChange::Delete { name, from } => {
            raise_roles_version(tx, *from)?;
            custom_role(tx, name)?;
            guard(holders(tx, name, None, 1)?.is_empty(), Conflict::RoleInUse)?;
            remove(tx, ROLES, name.as_str())?;
        }
        RoleChange::Expect { version } => guard(roles_version(tx)? == *version, Conflict::RolesChanged)?,
        RoleChange::SpareLastHolder { user_id } => {
            guard(holders_of_everything(tx)? != [*user_id], Conflict::LastSuperuser)?;
        }
        RoleChange::KeepAHolder => guard(!holders_of_everything(tx)?.is_empty(), Conflict::LastSuperuser)?,
        _ => return Err(unknown()),
    }
    Ok(())
}

fn raise_roles_version(tx: &WriteTransaction, from: u32) -> Result<(), CommitError> {
    guard(roles_version(tx)? == from, Conflict::RolesChanged)?;
    Ok(set(tx, META, "roles", next(from)?)?)
}

/// A role that can be changed.
fn custom_role(tx: &WriteTransaction, name: &RoleName) -> Result<Role, CommitError> {
    let role = get::<Role>(tx, name.as_str())?.filter(|role| !role.built_in);
    Ok(role.ok_or(Conflict::RolesChanged)?)
}

/// Who has, everywhere and for good, a role that holds everything.
fn holders_of_everything(tx: &WriteTransaction) -> Result<Vec<UserId>, StoreError> {
    let roles: Vec<Role> = all(tx)?;
    let supers = Role::holding_everything(roles.iter());
    let mut ids = Vec::new();
    for name in &supers {
        for user in holders(tx, name, None, usize::MAX)? {
            let counts = |assignment: &Assignment| assignment.scope.is_none() && assignment.expires_at.is_none();
            let holds = |assignment: &Assignment| counts(assignment) && supers.contains(&assignment.role);
            if user.status == UserStatus::Active && user.access.assignments.iter().any(holds) && !ids.contains(&user.id) {
                ids.push(user.id);
            }
        }
    }
    Ok(ids)
}

/// Keeps an account as a change left it.
fn put_changed(tx: &WriteTransaction, user: User, at: Timestamp) -> Result<(), StoreError> {
    put(tx, &User { version: next(user.version)?, updated_at: at, ..user })
}

/// The account, active or suspended, if it has this version.
fn unchanged(tx: &WriteTransaction, id: UserId, version: u32) -> Result<User, CommitError> {
    Ok(user(tx, id)?.filter(|user| user.version == version).ok_or(Conflict::UserChanged)?)
}

fn apply_credential(tx: &WriteTransaction, change: &CredentialChange) -> Result<(), CommitError> {
    match change {
        CredentialChange::InsertPassword { user_id, hash, at: _ } => {
            guard(user(tx, *user_id)?.is_some(), Conflict::UserChanged)?;
            guard(password(tx, *user_id)?.is_none(), Conflict::PasswordChanged)?;
            set_password(tx, *user_id, hash)?;
        }
        // A closed account has no password, so this guard needs no look at the account.
        CredentialChange::ReplacePassword { user_id, from, to, at: _ } => {
            guard(password(tx, *user_id)?.as_ref() == Some(from), Conflict::PasswordChanged)?;
            set_password(tx, *user_id, to)?;
        }
        CredentialChange::DeletePassword { user_id } => {
            remove(tx, PASSWORDS, user_id.as_uuid())?;
        }
        _ => return Err(unknown()),
    }
    Ok(())
}

fn apply_session(tx: &WriteTransaction, change: &SessionChange, committed: &mut Committed) -> Result<(), CommitError> {
    let revoked = &mut committed.revoked;
    match change {
        SessionChange::Insert { session, auth_epoch } => {
            let user = active_user(tx, session.user_id)?;
            guard(user.is_some_and(|user| user.auth_epoch == *auth_epoch), Conflict::UserChanged)?;
            guard(!has(tx, SESSIONS, session.id.as_uuid())?, Conflict::DuplicateId)?;
            set(tx, SESSIONS_BY_USER, (session.user_id.as_uuid(), session.id.as_uuid()), ())?;
            put(tx, &Session { revoked: None, ..(**session).clone() })?;
        }
        SessionChange::Revoke { id, reason, at } => {
            let session = session(tx, *id)?.filter(|session| session.revoked.is_none()).ok_or(Conflict::SessionEnded)?;
            revoked.push(revoke(tx, session, *reason, *at)?);
        }
        SessionChange::RevokeAll { user_id, except, reason, at } => {
            for session in sessions_of(tx, *user_id)? {
                if session.revoked.is_none() && Some(session.id) != *except {
                    revoked.push(revoke(tx, session, *reason, *at)?);
                }
            }
        }
        SessionChange::EndImpersonations { by, at } => end_impersonations(tx, revoked, *at, |_, who| Ok(who == *by))?,
        SessionChange::EndImpersonationsOf { user_id, at } => {
            end_impersonations(tx, revoked, *at, |of, _| Ok(of == *user_id))?;
        }
        SessionChange::EndImpersonationsByRole { roles, at } => {
            let has = |id: UserId| -> Result<bool, StoreError> {
                let user = user(tx, id)?;
                Ok(user.is_some_and(|user| user.access.assignments.iter().any(|held| roles.contains(&held.role))))
            };
            end_impersonations(tx, revoked, *at, |of, who| Ok(has(of)? || has(who)?))?;
        }
        SessionChange::EnforceCap { user_id, keep, at } => {
            let mut live = sessions_of(tx, *user_id)?;
            live.retain(|session| session.is_live(*at) && session.impersonator.is_none());
            live.sort_by_key(|session| Reverse((session.refreshed_at, session.id)));
            for session in live.into_iter().skip(usize::try_from(*keep).unwrap_or(usize::MAX)) {
                revoked.push(revoke(tx, session, RevocationReason::SessionCap, *at)?);
            }
        }
        SessionChange::Purge { ended_before, limit } => {
            // A scan: fine for the size of a file, where a store for millions would keep an index by the end.
            let mut ended: Vec<Session> = all(tx)?;
            ended.retain(|session| {
                session.expires_at < *ended_before || session.revoked.is_some_and(|(at, _)| at < *ended_before)
            });
            for session in ended.into_iter().take(usize::try_from(*limit).unwrap_or(usize::MAX)) {
                remove(tx, SESSIONS_BY_USER, (session.user_id.as_uuid(), session.id.as_uuid()))?;
                if let Some((at, _)) = session.revoked {
                    remove(tx, REVOCATIONS, (at.unix_micros(), session.id.as_uuid()))?;
                }
                remove(tx, SESSIONS, session.id.as_uuid())?;
                committed.purged += 1;
            }
        }
        SessionChange::Reauthenticate { id, auth_epoch, methods, at } => {
            let session = session(tx, *id)?.filter(|session| session.is_live(*at)).ok_or(Conflict::SessionEnded)?;
            let user = active_user(tx, session.user_id)?;
            guard(user.is_some_and(|user| user.auth_epoch == *auth_epoch), Conflict::SessionEnded)?;
            let methods = methods.clone().unwrap_or_else(|| session.methods.clone());
            put(tx, &Session { authenticated_at: *at, methods, ..session })?;
        }
        _ => return Err(unknown()),
    }
    Ok(())
}

/// Ends the sessions in which somebody acts as somebody else, where the two are such that it ends.
fn end_impersonations(
    tx: &WriteTransaction,
    revoked: &mut Vec<Revocation>,
    at: Timestamp,
    ends: impl Fn(UserId, UserId) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    for session in all::<Session>(tx)? {
        let Some(who) = session.impersonator.filter(|_| session.revoked.is_none()) else { continue };
        if ends(session.user_id, who.user_id)? {
            revoked.push(revoke(tx, session, RevocationReason::ImpersonationEnded, at)?);
        }
    }
    Ok(())
}

fn apply_key(tx: &WriteTransaction, change: &KeyChange) -> Result<(), CommitError> {
    match change {
        KeyChange::Insert(key) => {
            guard(!has(tx, KEYS, key.id.as_str())?, Conflict::DuplicateId)?;
            let taken = server_keys(tx)?.iter().any(|other| (other.purpose, other.serial) == (key.purpose, key.serial));
            guard(!taken, Conflict::KeySerialTaken)?;
            put(tx, key)?;
        }
        KeyChange::Delete { id } => guard(remove(tx, KEYS, id.as_str())?, Conflict::KeyGone)?,
        _ => return Err(unknown()),
    }
    Ok(())
}

fn apply_guess(tx: &WriteTransaction, change: &GuessChange, committed: &mut Committed) -> Result<(), CommitError> {
    match change {
        GuessChange::Count { subject, at } => {
            let failures = guesses(tx, *subject)?.map_or(0, |guesses| guesses.failures);
            set_guesses(tx, *subject, failures, *at)?;
        }
        GuessChange::Reserve { subject, from, at } => {
            guard(guesses(tx, *subject)? == Some(*from), Conflict::GuessesChanged)?;
            set_guesses(tx, *subject, from.failures, *at)?;
        }
        GuessChange::Forget { subject } => drop(remove(tx, GUESSES, *subject.digest().as_bytes())?),
        GuessChange::Purge { last_before, below, limit } => {
            let is_old = |(failures, at): (u32, i64)| at < last_before.unix_micros() && failures < *below;
            let mut old = Vec::new();
            for entry in tx.rows(GUESSES)?.iter().map_err(broken)? {
                let (subject, count) = entry.map_err(broken)?;
                if is_old(count.value()) {
                    old.push(subject.value());
                }
            }
            old.truncate(usize::try_from(*limit).unwrap_or(usize::MAX));
            for subject in &old {
                remove(tx, GUESSES, *subject)?;
            }
            committed.purged += old.len() as u64;
        }
        _ => return Err(unknown()),
    }
    Ok(())
}

fn apply_factor(tx: &WriteTransaction, change: &FactorChange) -> Result<(), CommitError> {
    match change {
        FactorChange::Put(factors) => {
            let found: Option<Factors> = get(tx, factors.user_id.as_uuid())?;
            guard(found.map_or(0, |found| found.version) == factors.version, Conflict::FactorsChanged)?;
            guard(has(tx, USERS, factors.user_id.as_uuid())?, Conflict::UserChanged)?;
            put(tx, &Factors { version: next(factors.version)?, ..Factors::clone(factors) })?;
        }
        FactorChange::Forget { user_id } => drop(remove(tx, FACTORS, user_id.as_uuid())?),
        _ => return Err(unknown()),
    }
    Ok(())
}

/// One guess more than there were.
fn set_guesses(tx: &WriteTransaction, subject: GuessSubject, before: u32, at: Timestamp) -> Result<(), StoreError> {
    set(tx, GUESSES, *subject.digest().as_bytes(), (next(before)?, at.unix_micros()))
}

fn append(tx: &WriteTransaction, event: &AuditEvent) -> Result<(), CommitError> {
    let id = event.id.as_uuid();
    guard(!has(tx, EVENTS, id)?, Conflict::DuplicateId)?;
    if let Some(subject) = event.subject {
        set(tx, EVENTS_BY_SUBJECT, (subject.as_uuid(), id), ())?;
    }
    Ok(put(tx, event)?)
}

fn apply_audit(tx: &WriteTransaction, change: &AuditChange, committed: &mut Committed) -> Result<(), CommitError> {
    match change {
        AuditChange::Append(event) => append(tx, event)?,
        AuditChange::Seal { seal, leaves } => {
            let before = last_audit_seal(tx)?;
            let fits = match &before {
                None => seal.number == 1,
                Some(before) => before.number.checked_add(1) == Some(seal.number) && before.digest == seal.previous,
            };
            guard(fits, Conflict::AuditSealTaken)?;
            set(tx, LEAVES, seal.number, AuditLeaf::to_bytes(leaves).as_slice())?;
            put(tx, &**seal)?;
        }
        AuditChange::PurgeSealed { seal } => committed.purged += purge_sealed(tx, *seal)?,
        AuditChange::ClaimStream { name, holder, at, until } => {
            let stream: Option<AuditStream> = get(tx, name.as_str())?;
            let is_free = |stream: &AuditStream| stream.holder == *holder || stream.lease_until <= *at;
            guard(stream.as_ref().is_none_or(is_free), Conflict::AuditStreamHeld)?;
            let position = stream.map_or(0, |stream| stream.position);
            put(tx, &AuditStream { name: name.clone(), holder: holder.clone(), lease_until: *until, position })?;
        }
        AuditChange::AdvanceStream { name, holder, from, to, until } => {
            let stream: Option<AuditStream> = get(tx, name.as_str())?;
            let held = stream.filter(|stream| stream.holder == *holder && stream.position == *from);
            let stream = held.ok_or(Conflict::AuditStreamHeld)?;
            put(tx, &AuditStream { lease_until: *until, position: *to, ..stream })?;
        }
        _ => return Err(unknown()),
    }
    Ok(())
}

/// Forgets the events of a seal, and tells how many they were.
fn purge_sealed(tx: &WriteTransaction, seal: u64) -> Result<u64, StoreError> {
    let mut purged = 0;
    for leaf in audit_leaves(tx, seal)?.unwrap_or_default() {
        let id = leaf.id.as_uuid();
        let Some(event) = get::<AuditEvent>(tx, id)? else { continue };
        if let Some(subject) = event.subject {
            remove(tx, EVENTS_BY_SUBJECT, (subject.as_uuid(), id))?;
        }
        remove(tx, EVENTS, id)?;
        purged += 1;
    }
    remove(tx, LEAVES, seal)?;
    Ok(purged)
}

/// Why a session did not move on.
pub(crate) enum NotRotated {
    /// A guard did not hold; the session as it stands, unless there is none or its account is closed.
    Refused(Option<Box<SessionWithUser>>),
    /// The store could not tell.
    Failed(StoreError),
}

impl From<StoreError> for NotRotated {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// Moves a session to its next refresh token.
pub(crate) fn rotate(tx: &WriteTransaction, rotation: &Rotation) -> Result<SessionWithUser, NotRotated> {
    let SessionWithUser { session, user } = session_with_user(tx, rotation.session_id)?.ok_or(NotRotated::Refused(None))?;
    let as_presented = session.generation == rotation.generation && session.secret == rotation.presented;
    if !as_presented || !session.is_live(rotation.at) || user.status != UserStatus::Active {
        return Err(NotRotated::Refused(Some(Box::new(SessionWithUser { session, user }))));
    }
    let session = Session {
        generation: next(session.generation)?,
        secret: rotation.successor,
        refreshed_at: rotation.at,
        idle_expires_at: rotation.idle_expires_at.min(session.expires_at),
        last_used_by: rotation.client.clone(),
        ..session
    };
    put(tx, &session)?;
    Ok(SessionWithUser { session, user })
}

/// Ends a session, and writes down where the other nodes will find that.
fn revoke(tx: &WriteTransaction, session: Session, reason: RevocationReason, at: Timestamp) -> Result<Revocation, StoreError> {
    let session = Session { revoked: Some((at, reason)), ..session };
    set(tx, REVOCATIONS, (at.unix_micros(), session.id.as_uuid()), ())?;
    put(tx, &session)?;
    Ok(Revocation { session_id: session.id, at })
}

fn set_password(tx: &WriteTransaction, id: UserId, hash: &PasswordHash) -> Result<(), StoreError> {
    set(tx, PASSWORDS, id.as_uuid(), hash.expose())
}

fn patch<T: Clone>(field: &mut Option<T>, patch: &Patch<T>) {
    match patch {
        Patch::Keep => {}
        Patch::Set(value) => *field = Some(value.clone()),
        Patch::Clear => *field = None,
    }
}

pub(crate) fn guard(holds: bool, otherwise: Conflict) -> Result<(), Conflict> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// A counter that only grows does not start over.
pub(crate) fn next(counter: u32) -> Result<u32, StoreError> {
    counter.checked_add(1).ok_or_else(|| StoreError::failed("a counter is at its end"))
}

// SECURITY: the enums grow with AuthKit. A change that this store does not know fails the whole set; skipping it would tell
// the caller that, say, a session was ended when it was not.
pub(crate) fn unknown() -> CommitError {
    StoreError::failed("a change that this store does not know").into()
}
