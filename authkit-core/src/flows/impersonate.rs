//! Acting as somebody else: an administrator sees what a user sees, for a while, under both names.

use std::time::Duration;

use crate::flows::administration::{AdminError, subject};
use crate::flows::authenticate::Principal;
use crate::flows::authorize::Administrator;
use crate::flows::engine::{Engine, Internal};
use crate::flows::session_issue::access_token;
use crate::model::{
    AuditAction, Change, ChangeSet, Impersonator, Outcome, RequestContext, RoleChange, Session, SessionChange, User, UserChange,
    UserStatus,
};
use crate::ports::{CommitError, Conflict};
use crate::primitives::entropy::random_bytes;
use crate::primitives::{AccessToken, Digest, ImpersonationReason, SessionId, Timestamp, UserId};

/// How often it is decided anew when roles or the account change under it.
const ATTEMPTS: usize = 5;

/// What has to be held to act as somebody else.
pub(crate) const USERS_IMPERSONATE: &str = "users:impersonate";

/// Somebody who acts as somebody else now. There is no refresh token: when the time is over, it is over.
#[derive(Debug, Clone)]
pub struct Impersonation {
    /// As whom.
    pub user: User,
    /// In which session.
    pub session_id: SessionId,
    /// Goes with every request; it names both (`sub` and `act`, RFC 8693 §4.1).
    pub access_token: AccessToken,
    /// How long the access token is valid, in whole seconds.
    pub expires_in: Duration,
}

/// Begins a session in which the caller acts as somebody else.
///
/// She holds every permission that the other one holds, acts in her own name, has proved recently who she is and says why. The session
/// is one of the other one's, seen and ended like any; it ends by itself after [`impersonation_lifetime`](
/// crate::config::TokenConfig::impersonation_lifetime) or when what the caller needs for it does, with the session of the caller, and when
/// roles change so that she has less or the other one more.
pub(crate) async fn impersonate(
    engine: &Engine,
    principal: &Principal,
    id: UserId,
    reason: &ImpersonationReason,
    context: &RequestContext,
) -> Result<Impersonation, AdminError> {
    let mut overtaken = Conflict::UserChanged;
    for _ in 0..ATTEMPTS {
        let authority = Administrator::User(principal).authority(engine, USERS_IMPERSONATE).await?;
        let at = engine.now();
        if !principal.is_recent(at, engine.config.sessions.recent_authentication) {
            return Err(AdminError::ReauthenticationRequired);
        }
        let user = subject(engine, &authority, id, AuditAction::Impersonation, context).await?;
        if user.status != UserStatus::Active {
            return Err(AdminError::Suspended);
        }
        // SECURITY: not for longer than she may herself.
        let ends_at = at + engine.config.tokens.impersonation_lifetime;
        let ends_at = authority.holds_until(USERS_IMPERSONATE, &authority.of_other(&user), ends_at);
        let session = begin(engine, principal, &user, at, ends_at, context);
        let session_id = session.id;
        let event = engine.event(at, AuditAction::Impersonation, Outcome::Success, context).by(authority.actor()).on(id);
        let event = event.with("reason", reason.as_str()).with("session_id", session_id.to_string());
        let event = event.with("until", ends_at.to_string());
        let (access_token, expires_in) = access_token(engine, &session, &user.access, at)?;
        // SECURITY: that she holds all that the other one holds is true when the session begins, by the roles of both and by what
        // roles give. Whatever changes that afterwards finds the session and ends it.
        let roles_version = authority.graph().version().unwrap_or_default();
        let expect = Change::from(RoleChange::Expect { version: roles_version });
        let before: ChangeSet = [expect].into_iter().chain(authority.guard()).collect();
        let changes = before
            .and(SessionChange::Insert { session: Box::new(session), auth_epoch: user.auth_epoch })
            .and(UserChange::HoldAccess { id, version: user.access.version })
            .and(event);
        match engine.commit(&changes).await {
            Ok(_) => return Ok(Impersonation { user, session_id, access_token, expires_in }),
            // She was suspended, closed, or given another password or other roles in this moment: decided anew.
            Err(CommitError::Conflict(
                conflict @ (Conflict::UserChanged | Conflict::AuthorityChanged | Conflict::RolesChanged),
            )) => overtaken = conflict,
            Err(error) => return Err(Internal::from(error).into()),
        }
    }
    Err(Internal::Conflict(overtaken.into()).into())
}

fn begin(
    engine: &Engine,
    principal: &Principal,
    user: &User,
    at: Timestamp,
    ends_at: Timestamp,
    context: &RequestContext,
) -> Session {
    Session {
        id: SessionId::generate(at, &*engine.entropy),
        user_id: user.id,
        generation: 0,
        // The digest of nothing that anybody holds: this session is never refreshed.
        secret: Digest::of(&random_bytes::<32>(&*engine.entropy)),
        // She has proved nothing as whom she acts.
        methods: Vec::new(),
        authenticated_at: at,
        device_name: None,
        created_by: context.client.clone(),
        last_used_by: context.client.clone(),
        created_at: at,
        refreshed_at: at,
        idle_expires_at: ends_at,
        expires_at: ends_at,
        impersonator: Some(Impersonator { user_id: principal.user_id(), session_id: principal.session_id() }),
        revoked: None,
    }
}
