//! Sessions: their guards, the cap, the rotation, and who was revoked when.

use std::cmp::Reverse;
use std::ops::Bound;

use crate::model::{
    Client, Committed, Impersonator, Revocation, RevocationReason, Rotation, RotationOutcome, Session, SessionChange,
    SessionWithUser, UserStatus,
};
use crate::ports::store::{CommitError, Conflict, RevocationMark, StoreError};
use crate::primitives::{Page, PageLimit, PageRequest, SessionId, Timestamp, UserId};

use super::table::Table;
use super::{Tables, next};

/// The sessions, and two orders in which they are read.
#[derive(Default)]
pub(super) struct Sessions {
    rows: Table<SessionId, Session>,
    by_user: Table<(UserId, SessionId), ()>,
    by_revocation: Table<(Timestamp, SessionId), ()>,
}

impl Sessions {
    /// One page of a user's live sessions, the youngest id first.
    pub(super) fn live_page(&self, user_id: UserId, now: Timestamp, page: PageRequest) -> Page<Session> {
        let before = page.cursor.map(|cursor| SessionId::from_uuid(cursor.id()));
        let rows = self.of(user_id).rev().filter(|session| before.is_none_or(|before| session.id < before));
        let rows = rows.filter(|session| session.is_live(now)).take(usize::from(page.limit.value()) + 1);
        Page::from_surplus(rows.cloned().collect(), page.limit, |session| session.id.as_uuid())
    }

    /// The revocations after a mark, in the order of (instant, id).
    pub(super) fn revocations_after(&self, mark: RevocationMark, limit: PageLimit) -> Vec<Revocation> {
        let start = match mark.session_id {
            Some(id) => Bound::Excluded((mark.at, id)),
            None => Bound::Included((mark.at, SessionId::from_uuid(uuid::Uuid::nil()))),
        };
        let rows = self.by_revocation.rows().range((start, Bound::Unbounded));
        rows.take(usize::from(limit.value())).map(|(&(at, session_id), ())| Revocation { session_id, at }).collect()
    }

    /// Forgets what was personal in a user's sessions.
    pub(super) fn forget_clients(&mut self, user_id: UserId) {
        let sessions: Vec<Session> = self.of(user_id).cloned().collect();
        for session in sessions {
            let (created_by, last_used_by) = (Client::default(), Client::default());
            self.rows.put(session.id, Session { device_name: None, created_by, last_used_by, ..session });
        }
    }

    pub(super) fn keep(&mut self) {
        self.rows.keep();
        self.by_user.keep();
        self.by_revocation.keep();
    }

    pub(super) fn take_back(&mut self) {
        self.rows.take_back();
        self.by_user.take_back();
        self.by_revocation.take_back();
    }

    fn get(&self, id: SessionId) -> Option<&Session> {
        self.rows.rows().get(&id)
    }

    /// A user's sessions in the order of their ids.
    fn of(&self, user_id: UserId) -> impl DoubleEndedIterator<Item = &Session> {
        let first = (user_id, SessionId::from_uuid(uuid::Uuid::nil()));
        let last = (user_id, SessionId::from_uuid(uuid::Uuid::max()));
        self.by_user.rows().range(first..=last).filter_map(|(&(_, id), ())| self.get(id))
    }

    fn forget(&mut self, session: &Session) {
        self.by_user.remove(&(session.user_id, session.id));
        if let Some((at, _)) = session.revoked {
            self.by_revocation.remove(&(at, session.id));
        }
        self.rows.remove(&session.id);
    }

    /// Ends the sessions in which somebody acts as somebody else that `ends` chooses.
    fn end_impersonations(
        &mut self,
        ends: impl Fn(&Session, Impersonator) -> bool,
        at: Timestamp,
        revoked: &mut Vec<Revocation>,
    ) {
        let is_alive = |session: &&Session| session.revoked.is_none();
        let chosen = |session: &&Session| session.impersonator.is_some_and(|who| ends(session, who));
        let all: Vec<Session> = self.rows.rows().values().filter(is_alive).filter(chosen).cloned().collect();
        for session in all {
            self.revoke(session, RevocationReason::ImpersonationEnded, at, revoked);
        }
    }

    fn revoke(&mut self, session: Session, reason: RevocationReason, at: Timestamp, revoked: &mut Vec<Revocation>) {
        revoked.push(Revocation { session_id: session.id, at });
        self.by_revocation.put((at, session.id), ());
        self.rows.put(session.id, Session { revoked: Some((at, reason)), ..session });
    }
}

/// A session and its account, unless that is closed.
pub(super) fn with_user(tables: &Tables, id: SessionId) -> Option<SessionWithUser> {
    let session = tables.sessions.get(id)?;
    let user = tables.users.open(session.user_id)?.user.clone();
    Some(SessionWithUser { session: session.clone(), user })
}

pub(super) fn apply(tables: &mut Tables, change: &SessionChange, committed: &mut Committed) -> Result<(), CommitError> {
    let Tables { users, sessions, .. } = tables;
    let revoked = &mut committed.revoked;
    match change {
        SessionChange::Insert { session, auth_epoch } => {
            users.active(session.user_id).filter(|user| user.auth_epoch == *auth_epoch).ok_or(Conflict::UserChanged)?;
            if sessions.get(session.id).is_some() {
                return Err(Conflict::DuplicateId.into());
            }
            sessions.by_user.put((session.user_id, session.id), ());
            sessions.rows.put(session.id, Session { revoked: None, ..(**session).clone() });
        }
        SessionChange::Revoke { id, reason, at } => {
            let session = sessions.get(*id).filter(|session| session.revoked.is_none());
            let session = session.cloned().ok_or(Conflict::SessionEnded)?;
            sessions.revoke(session, *reason, *at, revoked);
        }
        SessionChange::RevokeAll { user_id, except, reason, at } => {
            let all = sessions.of(*user_id).filter(|session| session.revoked.is_none() && Some(session.id) != *except);
            for session in all.cloned().collect::<Vec<_>>() {
                sessions.revoke(session, *reason, *at, revoked);
            }
        }
        SessionChange::EndImpersonations { by, at } => {
            sessions.end_impersonations(|_, who| who.user_id == *by, *at, revoked);
        }
        SessionChange::EndImpersonationsOf { user_id, at } => {
            sessions.end_impersonations(|session, _| session.user_id == *user_id, *at, revoked);
        }
        SessionChange::EndImpersonationsByRole { roles, at } => {
            let has = |id: UserId| {
                let access = users.open(id).map(|account| &account.user.access.assignments);
                access.is_some_and(|held| held.iter().any(|assignment| roles.contains(&assignment.role)))
            };
            sessions.end_impersonations(|session, who| has(who.user_id) || has(session.user_id), *at, revoked);
        }
        SessionChange::EnforceCap { user_id, keep, at } => {
            let counted = |session: &&Session| session.is_live(*at) && session.impersonator.is_none();
            let mut live: Vec<Session> = sessions.of(*user_id).filter(counted).cloned().collect();
            live.sort_by_key(|session| Reverse((session.refreshed_at, session.id)));
            let keep = usize::try_from(*keep).unwrap_or(usize::MAX);
            for session in live.into_iter().skip(keep) {
                sessions.revoke(session, RevocationReason::SessionCap, *at, revoked);
            }
        }
        SessionChange::Purge { ended_before, limit } => {
            let ended = |session: &&Session| {
                session.expires_at < *ended_before || session.revoked.is_some_and(|(at, _)| at < *ended_before)
            };
            let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
            for session in sessions.rows.rows().values().filter(ended).take(limit).cloned().collect::<Vec<_>>() {
                sessions.forget(&session);
                committed.purged += 1;
            }
        }
        SessionChange::Reauthenticate { id, auth_epoch, methods, at } => {
            let session = sessions.get(*id).filter(|session| session.is_live(*at)).ok_or(Conflict::SessionEnded)?;
            let user = users.active(session.user_id).filter(|user| user.auth_epoch == *auth_epoch);
            user.ok_or(Conflict::SessionEnded)?;
            let methods = methods.clone().unwrap_or_else(|| session.methods.clone());
            let session = Session { authenticated_at: *at, methods, ..session.clone() };
            sessions.rows.put(*id, session);
        }
    }
    Ok(())
}

pub(super) fn rotate(tables: &mut Tables, rotation: &Rotation) -> Result<RotationOutcome, StoreError> {
    let Some(SessionWithUser { session, user }) = with_user(tables, rotation.session_id) else {
        return Ok(RotationOutcome::Refused(None));
    };
    let as_presented = session.generation == rotation.generation && session.secret == rotation.presented;
    if !as_presented || !session.is_live(rotation.at) || user.status != UserStatus::Active {
        return Ok(RotationOutcome::Refused(Some(Box::new(SessionWithUser { session, user }))));
    }
    let session = Session {
        generation: next(session.generation)?,
        secret: rotation.successor,
        refreshed_at: rotation.at,
        idle_expires_at: rotation.idle_expires_at.min(session.expires_at),
        last_used_by: rotation.client.clone(),
        ..session
    };
    tables.sessions.rows.put(session.id, session.clone());
    Ok(RotationOutcome::Rotated(Box::new(SessionWithUser { session, user })))
}
