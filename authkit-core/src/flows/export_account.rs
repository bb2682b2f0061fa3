//! Everything that is held about the caller, for the caller (GDPR Article 15 and 20).

use crate::flows::authenticate::{Impersonated, Principal};
use crate::flows::engine::{Engine, Internal, actor};
use crate::model::{
    Actor, AuditAction, AuditEvent, AuditFilter, ChangeSet, Client, Outcome, RequestContext, Session, User, UserStatus,
};
use crate::primitives::{Page, PageLimit, PageRequest, Timestamp, UserId};

/// Why nothing was exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Somebody else acts as the owner.
    #[error(transparent)]
    Impersonated(#[from] Impersonated),
    /// The account was closed since the token was issued, or its session has ended.
    #[error("the session has ended")]
    Gone,
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl ExportError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Impersonated(_) => Impersonated::CODE,
            Self::Gone => "auth.session_ended",
            Self::Internal(error) => error.code(),
        }
    }
}

/// Everything that is held about somebody, as it stood at one moment. No secret is in it: neither a hash nor a token.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AccountExport {
    /// When it was made.
    pub at: Timestamp,
    /// The account, its roles included.
    pub user: User,
    /// Whether it has a password.
    pub has_password: bool,
    /// The sessions that are alive, the youngest first.
    pub sessions: Vec<Session>,
    /// What the audit log tells of her, the youngest first.
    pub events: Vec<AuditEvent>,
    /// Whether there are more events than [`MAX_EVENTS`](Self::MAX_EVENTS): then these are the youngest.
    pub events_cut: bool,
}

impl AccountExport {
    /// How many events an export holds at most, so that it fits into memory: those of years.
    pub const MAX_EVENTS: usize = 10_000;
}

/// An event as she may see it: from where somebody else acted on her is about that other one.
fn about(id: UserId, event: AuditEvent) -> AuditEvent {
    let is_own = matches!(event.actor, Actor::Anonymous) || matches!(event.actor, Actor::User(actor, _) if actor == id);
    if is_own { event } else { AuditEvent { client: Client::default(), ..event } }
}

/// Gathers everything that is held about the caller. That she asked for it is in her audit log.
pub(crate) async fn export(
    engine: &Engine,
    principal: &Principal,
    context: &RequestContext,
) -> Result<AccountExport, ExportError> {
    principal.in_person()?;
    let (id, at) = (principal.user_id(), engine.now());
    let read = engine.store.session_by_id(principal.session_id()).await.map_err(Internal::from)?;
    // SECURITY: read from the store, because what it hands out is all there is: who was logged out elsewhere gets nothing here.
    let alive = read.filter(|read| read.session.is_live(at) && read.user.id == id && read.user.status == UserStatus::Active);
    let user = alive.ok_or(ExportError::Gone)?.user;
    let event = engine.event(at, AuditAction::AccountExported, Outcome::Success, context).by(actor(principal)).on(id);
    engine.commit(&ChangeSet::new().and(event)).await.map_err(Internal::from)?;
    let credentials = engine.store.credentials_by_id(id).await.map_err(Internal::from)?.ok_or(ExportError::Gone)?;
    let limit = PageLimit::new(PageLimit::MAX).unwrap_or_default();
    let mut sessions = Vec::new();
    let mut page = PageRequest { limit, cursor: None };
    loop {
        let Page { items, next } = engine.store.live_sessions(id, at, page).await.map_err(Internal::from)?;
        sessions.extend(items);
        page.cursor = next;
        if page.cursor.is_none() {
            break;
        }
    }
    let of_her = AuditFilter::new().subject(id);
    let (mut events, mut events_cut) = (Vec::new(), false);
    let mut page = PageRequest { limit, cursor: None };
    loop {
        let Page { items, next } = engine.store.audit_events(&of_her, page).await.map_err(Internal::from)?;
        events.extend(items.into_iter().map(|event| about(id, event)));
        match next {
            None => break,
            Some(_) if events.len() >= AccountExport::MAX_EVENTS => {
                events_cut = true;
                break;
            }
            some => page.cursor = some,
        }
    }
    Ok(AccountExport { at, user, has_password: credentials.password.is_some(), sessions, events, events_cut })
}
