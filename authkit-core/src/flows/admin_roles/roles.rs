//! Roles are made, changed and deleted.

use std::collections::BTreeSet;

use crate::flows::authorize::{Administrator, Authority, authorize_administrator};
use crate::flows::engine::{Engine, Internal};
use crate::flows::role_impact::{self, RoleImpact};
use crate::model::{AuditAction, AuditEvent, Change, ChangeSet, Patch, RequestContext, Role, RoleChange, SessionChange};
use crate::primitives::{PageLimit, PageRequest, Permission, RoleDescription, RoleName, Timestamp};
use crate::rbac::{GraphError, RoleGraph};

use super::commit::{commit, holder_exists, repeatedly, somebody_holds_everything, takes_everything, version};
use super::record::{changed, event, listed, refuse};
use super::{RoleError, Run};

/// A role that shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRole {
    /// Its name.
    pub name: RoleName,
    /// What it is for.
    pub description: Option<RoleDescription>,
    /// Its own permissions.
    pub permissions: BTreeSet<Permission>,
    /// The roles that it inherits.
    pub inherits: BTreeSet<RoleName>,
    /// Whether nobody who has it, or a role that inherits it, begins a session without a second factor.
    pub mfa_required: bool,
}

/// What becomes of a role: what is not named stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleUpdate {
    /// What becomes of the description.
    pub description: Patch<RoleDescription>,
    /// Its own permissions from now on.
    pub permissions: Option<BTreeSet<Permission>>,
    /// The roles that it inherits from now on.
    pub inherits: Option<BTreeSet<RoleName>>,
    /// Whether it demands a second factor from now on. Sessions that have begun go on.
    pub mfa_required: Option<bool>,
    /// As what the caller has read it: where it is another one by now, nothing is changed.
    pub expected: ExpectedRole,
}

/// What tells one state of a role from another: the `ETag` of its representation. A role that was deleted and made again under the same
/// name is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleVersion {
    /// When the role was made.
    pub made_at: Timestamp,
    /// How often it was changed since.
    pub changes: u32,
}

impl RoleVersion {
    /// The version of a role as it was read.
    #[must_use]
    pub const fn of(role: &Role) -> Self {
        Self { made_at: role.created_at, changes: role.version }
    }
}

/// As what the caller has read a role that she changes: `If-Match` (RFC 9110 §13.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ExpectedRole {
    /// As anything.
    #[default]
    Anything,
    /// As one of these.
    OneOf(Vec<RoleVersion>),
}

impl ExpectedRole {
    fn holds(&self, role: &Role) -> bool {
        match self {
            Self::Anything => true,
            Self::OneOf(versions) => versions.contains(&RoleVersion::of(role)),
        }
    }
}

/// Makes a role.
pub(crate) async fn create(
    engine: &Engine,
    by: Administrator<'_>,
    new: &NewRole,
    run: Run,
    context: &RequestContext,
) -> Result<(Role, RoleImpact), RoleError> {
    repeatedly!(async {
        let authority = authorize_administrator(engine, by, "roles:write", None).await?;
        let at = authority.at();
        let role = Role {
            name: new.name.clone(),
            description: new.description.clone(),
            permissions: new.permissions.clone(),
            inherits: new.inherits.clone(),
            mfa_required: new.mfa_required,
            built_in: false,
            version: 0,
            created_at: at,
            updated_at: at,
        };
        if authority.graph().role(&role.name).is_some() {
            return Err(RoleError::NameTaken);
        }
        let after = with(authority.graph(), role.clone())?;
        let event = event(engine, &authority, AuditAction::RoleCreated, context).with("role", role.name.as_str());
        let event = event.with("permissions", listed(&role.permissions)).with("inherits", listed(&role.inherits));
        let event = if role.mfa_required { event.with("mfa_required", "true") } else { event };
        held(engine, &authority, &[(&after, &role.name)], &event).await?;
        let impact = role_impact::of_graphs(engine, authority.graph(), &after, at).await?;
        let change = RoleChange::Insert { role: Box::new(role.clone()), from: version(&authority) };
        commit(engine, &authority, ChangeSet::new().and(change), event, run).await?;
        Ok((role, impact))
    })
}

/// Changes a role, and returns it as it is then.
pub(crate) async fn update(
    engine: &Engine,
    by: Administrator<'_>,
    name: &RoleName,
    update: &RoleUpdate,
    run: Run,
    context: &RequestContext,
) -> Result<(Role, RoleImpact), RoleError> {
    repeatedly!(async {
        let authority = authorize_administrator(engine, by, "roles:write", None).await?;
        let before = authority.graph().role(name).cloned().ok_or(RoleError::NotFound)?;
        if !update.expected.holds(&before) {
            return Err(RoleError::Changed);
        }
        if before.built_in {
            return Err(RoleError::BuiltIn);
        }
        let role = Role {
            description: match &update.description {
                Patch::Keep => before.description.clone(),
                Patch::Set(description) => Some(description.clone()),
                Patch::Clear => None,
            },
            permissions: update.permissions.clone().unwrap_or_else(|| before.permissions.clone()),
            inherits: update.inherits.clone().unwrap_or_else(|| before.inherits.clone()),
            mfa_required: update.mfa_required.unwrap_or(before.mfa_required),
            version: before.version.saturating_add(1),
            updated_at: authority.at(),
            ..before.clone()
        };
        let after = with(authority.graph(), role.clone())?;
        let event = changed(event(engine, &authority, AuditAction::RoleChanged, context), &before, &role);
        held(engine, &authority, &[(authority.graph(), name), (&after, name)], &event).await?;
        let impact = role_impact::of_graphs(engine, authority.graph(), &after, authority.at()).await?;
        let change = RoleChange::Update { role: Box::new(role.clone()), from: version(&authority) };
        let mut changes: ChangeSet =
            [change.into()].into_iter().chain(end_impersonations(&impact, authority.at()).map(Change::from)).collect();
        if takes_everything(authority.graph(), &after) && somebody_holds_everything(engine, &authority).await? {
            changes = changes.and(RoleChange::KeepAHolder);
            // What a set that is not committed cannot tell.
            if run == Run::Dry && !holder_exists(engine, &after).await? {
                return Err(RoleError::LastSuperuser);
            }
        }
        commit(engine, &authority, changes, event, run).await?;
        Ok((role, impact))
    })
}

/// Deletes a role that nobody has and no other role inherits; returns it as it was.
pub(crate) async fn delete(
    engine: &Engine,
    by: Administrator<'_>,
    name: &RoleName,
    expected: &ExpectedRole,
    run: Run,
    context: &RequestContext,
) -> Result<(Role, RoleImpact), RoleError> {
    repeatedly!(async {
        let authority = authorize_administrator(engine, by, "roles:write", None).await?;
        let role = authority.graph().role(name).cloned().ok_or(RoleError::NotFound)?;
        if !expected.holds(&role) {
            return Err(RoleError::Changed);
        }
        if role.built_in {
            return Err(RoleError::BuiltIn);
        }
        if let Some(by) = authority.graph().heirs(name).into_iter().next() {
            return Err(RoleError::Inherited { by: by.clone() });
        }
        let event = event(engine, &authority, AuditAction::RoleDeleted, context).with("role", name.as_str());
        let event = event.with("permissions", listed(&role.permissions)).with("inherits", listed(&role.inherits));
        held(engine, &authority, &[(authority.graph(), name)], &event).await?;
        let impact = role_impact::of_graphs(engine, authority.graph(), &authority.graph().without(name), authority.at()).await?;
        if run == Run::Dry {
            let one = PageRequest { limit: PageLimit::new(1).unwrap_or_default(), cursor: None };
            let holders = engine.store.users_with_role(name, one).await.map_err(Internal::from)?;
            return if holders.items.is_empty() { Ok((role, impact)) } else { Err(RoleError::InUse) };
        }
        let change = RoleChange::Delete { name: name.clone(), from: version(&authority) };
        commit(engine, &authority, ChangeSet::new().and(change), event, run).await?;
        Ok((role, impact))
    })
}

/// Whoever acts as somebody else does so by what both hold, and so by what both held: where a role that either has gives more or less
/// from now on, she begins anew.
fn end_impersonations(impact: &RoleImpact, at: Timestamp) -> Option<SessionChange> {
    let roles: BTreeSet<RoleName> = impact.roles.iter().map(|difference| difference.role.clone()).collect();
    (!roles.is_empty()).then_some(SessionChange::EndImpersonationsByRole { roles, at })
}

/// Sees that everything that these roles give is held by whoever acts, everywhere and for good.
async fn held(
    engine: &Engine,
    authority: &Authority,
    roles: &[(&RoleGraph, &RoleName)],
    event: &AuditEvent,
) -> Result<(), RoleError> {
    let is_held =
        |(graph, name): &(&RoleGraph, &RoleName)| graph.gives(name).is_none_or(|gives| authority.can_hand_on(gives, None, None));
    if roles.iter().all(is_held) { Ok(()) } else { refuse(engine, event.clone()).await }
}

/// The graph with a role, within the limits.
fn with(graph: &RoleGraph, role: Role) -> Result<RoleGraph, RoleError> {
    let within = |what, most, count| if count > most { Err(RoleError::TooMany { what, most }) } else { Ok(()) };
    within("permissions of one role", Role::MAX_PERMISSIONS, role.permissions.len())?;
    within("inherited roles of one role", Role::MAX_INHERITED, role.inherits.len())?;
    let after = graph.with(role).map_err(|error| match error {
        GraphError::Unknown(role) => RoleError::UnknownInherited { role },
        GraphError::Cycle(_) => RoleError::Cycle,
    })?;
    within("roles", Role::MAX_ROLES, after.roles().count())?;
    let all = after.roles().map(|role| role.permissions.len()).sum();
    within("permissions of all roles together", Role::MAX_PERMISSIONS_OF_ALL, all)?;
    Ok(after)
}
