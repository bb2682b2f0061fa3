//! Acting as somebody else: an administrator sees what a user sees, for a while, under both names.

use std::time::Duration;

use crate::flows::administration::{AdminError, guarded, subject};
use crate::flows::authenticate::Principal;
use crate::flows::authorize::Administrator;
use crate::flows::engine::{Engine, Internal};
use crate::flows::session_issue::access_token;
use crate::model::{AuditAction, Impersonator, Outcome, RequestContext, Session, SessionChange, User, UserStatus};
use crate::ports::{CommitError, Conflict};
use crate::primitives::entropy::random_bytes;
use crate::primitives::{AccessToken, Digest, ImpersonationReason, SessionId, UserId};

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
/// crate::config::TokenConfig::impersonation_lifetime), and with the session of the caller.
pub(crate) async fn impersonate(
    engine: &Engine,
    principal: &Principal,
    id: UserId,
    reason: &ImpersonationReason,
    context: &RequestContext,
) -> Result<Impersonation, AdminError> {
    let authority = Administrator::User(principal).authority(engine, USERS_IMPERSONATE).await?;
    let at = engine.now();
    if !principal.is_recent(at, engine.config.sessions.recent_authentication) {
        return Err(AdminError::ReauthenticationRequired);
    }
    let user = subject(engine, &authority, id, AuditAction::Impersonation, context).await?;
    if user.status != UserStatus::Active {
        return Err(AdminError::Suspended);
    }
    let session_id = SessionId::generate(at, &*engine.entropy);
    let ends_at = at + engine.config.tokens.impersonation_lifetime;
    let session = Session {
        id: session_id,
        user_id: id,
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
    };
    let event = engine.event(at, AuditAction::Impersonation, Outcome::Success, context).by(authority.actor()).on(id);
    let event = event.with("reason", reason.as_str()).with("session_id", session_id.to_string());
    let event = event.with("until", ends_at.to_string());
    let (access_token, expires_in) = access_token(engine, &session, &user.access, at)?;
    let insert = SessionChange::Insert { session: Box::new(session), auth_epoch: user.auth_epoch };
    match engine.commit(&guarded(&authority).and(insert).and(event)).await {
        Ok(_) => Ok(Impersonation { user, session_id, access_token, expires_in }),
        // She was suspended, closed or given another password in this moment: asked again, it is told what became of her.
        Err(error @ CommitError::Conflict(Conflict::UserChanged)) => Err(Internal::Conflict(error).into()),
        Err(error) => Err(Internal::from(error).into()),
    }
}
