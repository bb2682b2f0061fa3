//! The door to what an administrator does: who may, asked of the store and not of a token.

use std::sync::Arc;

use crate::flows::access_book::fresh_graph;
use crate::flows::authenticate::{Impersonated, Principal};
use crate::flows::engine::{Engine, Internal, actor};
use crate::model::{Actor, Change, User, UserChange, UserStatus};
use crate::primitives::{Scope, Timestamp, UserId};
use crate::rbac::{EffectiveAccess, PermissionSet, RoleGraph};

/// Why somebody may not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorizeError {
    /// The caller lacks a permission.
    #[error("the permission {permission} is required")]
    Forbidden {
        /// Which.
        permission: &'static str,
    },
    /// The session of the caller has ended, or her account is suspended or closed.
    #[error("the session has ended")]
    SessionEnded,
    /// Somebody else acts as the caller.
    #[error(transparent)]
    Impersonated(#[from] Impersonated),
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl AuthorizeError {
    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Forbidden { .. } => "auth.permission_required",
            Self::SessionEnded => "auth.session_ended",
            Self::Impersonated(_) => Impersonated::CODE,
            Self::Internal(error) => error.code(),
        }
    }
}

/// By whose power something is administered.
#[derive(Debug, Clone, Copy)]
pub enum Administrator<'a> {
    /// A user's: what her roles give.
    User(&'a Principal),
    /// The operator's, who holds the machine: everything. For a command line, never for a request.
    Operator,
}

impl<'a> From<&'a Principal> for Administrator<'a> {
    fn from(principal: &'a Principal) -> Self {
        Self::User(principal)
    }
}

/// Lets an administrator through who holds `needed` in `scope`, or everywhere.
pub(crate) async fn authorize_administrator(
    engine: &Engine,
    by: Administrator<'_>,
    needed: &'static str,
    scope: Option<&Scope>,
) -> Result<Authority, AuthorizeError> {
    match by {
        Administrator::User(principal) => authorize_in(engine, principal, needed, scope).await,
        Administrator::Operator => Ok(Authority::system(engine).await?),
    }
}

/// What somebody may do as the store knows it at one moment: by her roles, or without bounds at the operator's command line.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    actor: Actor,
    /// Whose it is, and the version of her access; `None` for the operator.
    holder: Option<(UserId, u32)>,
    access: EffectiveAccess,
    graph: Arc<RoleGraph>,
    at: Timestamp,
}

impl Authority {
    /// The operator's, who may do everything.
    pub(crate) async fn system(engine: &Engine) -> Result<Self, Internal> {
        let graph = fresh_graph(engine).await?;
        Ok(Self { actor: Actor::System, holder: None, access: EffectiveAccess::default(), graph, at: engine.now() })
    }

    fn of(user: &User, actor: Actor, graph: Arc<RoleGraph>, at: Timestamp) -> Self {
        let access = EffectiveAccess::of(&user.access.assignments, &graph);
        Self { actor, holder: Some((user.id, user.access.version)), access, graph, at }
    }

    /// What the holder of another account may, by the roles that this authority was read with.
    pub(crate) fn of_other(&self, user: &User) -> Self {
        Self::of(user, Actor::User(user.id, None), Arc::clone(&self.graph), self.at)
    }

    /// Who acts.
    pub(crate) const fn actor(&self) -> Actor {
        self.actor
    }

    /// Whose authority it is; `None` for the operator.
    pub(crate) fn user_id(&self) -> Option<UserId> {
        self.holder.map(|(id, _)| id)
    }

    /// The roles as they stood in the store when it was read.
    pub(crate) const fn graph(&self) -> &Arc<RoleGraph> {
        &self.graph
    }

    /// When it was read.
    pub(crate) const fn at(&self) -> Timestamp {
        self.at
    }

    /// Whether a permission is held everywhere.
    pub(crate) fn holds(&self, needed: &str) -> bool {
        self.is_system() || self.access.holds(needed, || self.at)
    }

    /// Whether a permission is held in a scope, or everywhere; everywhere, with `None`.
    pub(crate) fn holds_in(&self, needed: &str, scope: Option<&Scope>) -> bool {
        match scope {
            None => self.holds(needed),
            Some(scope) => self.is_system() || self.access.holds_in(needed, scope, || self.at),
        }
    }

    /// Whether all of `given` can be handed on in `scope` (everywhere, with `None`) until `end` (for good, with `None`): nobody hands
    /// on what she does not hold there herself, nor for longer than she does.
    pub(crate) fn can_hand_on(&self, given: &PermissionSet, scope: Option<&Scope>, end: Option<Timestamp>) -> bool {
        self.is_system() || self.access.lasting(scope, end).holds_all(given)
    }

    /// Whether everything that the other one may is held: nobody has power over somebody who may more.
    pub(crate) fn holds_all_of(&self, other: &Self) -> bool {
        self.is_system() || (!other.is_system() && self.access.holds_all_of(&other.access, self.at))
    }

    /// When it ends by itself that `needed` and everything that the other one may is held; `end` where that is not before it.
    pub(crate) fn holds_until(&self, needed: &str, other: &Self, end: Timestamp) -> Timestamp {
        let holds_at = |at: Timestamp| self.access.holds(needed, || at) && self.access.holds_all_of(&other.access, at);
        let mut ends: Vec<Timestamp> = self.access.ends().filter(|at| self.at < *at && *at < end).collect();
        ends.sort_unstable();
        ends.into_iter().find(|at| !holds_at(*at)).unwrap_or(end)
    }

    /// The change that goes into every set that is committed by this authority, behind those that lock roles: it fails the set when
    /// the authority was taken away since it was read. None for the operator.
    pub(crate) fn guard(&self) -> Option<Change> {
        self.holder.map(|(id, version)| UserChange::HoldAccess { id, version }.into())
    }

    const fn is_system(&self) -> bool {
        self.holder.is_none()
    }
}

/// Lets somebody through who holds `needed` everywhere.
///
/// SECURITY: read from the store at every request, not taken from the token or from what this node knows: who was demoted, suspended
/// or logged out is refused at once, on every node. Two small reads; administration is rare.
pub(crate) async fn authorize(engine: &Engine, principal: &Principal, needed: &'static str) -> Result<Authority, AuthorizeError> {
    authorize_in(engine, principal, needed, None).await
}

/// Lets somebody through who holds `needed` in `scope`, or everywhere.
pub(crate) async fn authorize_in(
    engine: &Engine,
    principal: &Principal,
    needed: &'static str,
    scope: Option<&Scope>,
) -> Result<Authority, AuthorizeError> {
    let authority = authority_of_caller(engine, principal).await?;
    if authority.holds_in(needed, scope) { Ok(authority) } else { Err(AuthorizeError::Forbidden { permission: needed }) }
}

/// What the caller may, as the store knows it now.
pub(crate) async fn authority_of_caller(engine: &Engine, principal: &Principal) -> Result<Authority, AuthorizeError> {
    // SECURITY: whoever acts as somebody else has power over others in her own name alone.
    principal.in_person()?;
    let at = engine.now();
    let read = engine.store.session_by_id(principal.session_id()).await.map_err(Internal::from)?;
    let is_alive = |read: &crate::model::SessionWithUser| {
        read.session.revoked.is_none() && read.user.id == principal.user_id() && read.user.status == UserStatus::Active
    };
    let user = read.filter(is_alive).ok_or(AuthorizeError::SessionEnded)?.user;
    Ok(Authority::of(&user, actor(principal).actor, fresh_graph(engine).await?, at))
}
