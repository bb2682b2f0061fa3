//! Roles: made, changed, deleted, given and taken by those who may.
//!
//! Nobody hands on what she does not hold herself, by whatever path: a role is given, taken, changed or deleted only by somebody who
//! holds all that it gives, before the change and after it, where it shall count and for as long. So she gains nothing by changing
//! her own roles, and has no power over somebody's who may more.

use std::collections::BTreeSet;

use crate::flows::administration::record_refusal;
use crate::flows::authorize::{Administrator, Authority, AuthorizeError, authorize_administrator};
use crate::flows::engine::{Engine, Internal};
use crate::flows::role_impact::{self, RoleImpact};
use crate::model::{
    Access, Assignment, AuditAction, AuditEvent, ChangeSet, Outcome, Patch, RequestContext, Role, RoleChange, User, UserChange,
};
use crate::ports::{CommitError, Conflict};
use crate::primitives::{PageLimit, PageRequest, Permission, RoleDescription, RoleName, Scope, Timestamp, UserId};
use crate::rbac::{GraphError, RoleGraph};
use crate::token::roles::{MAX_ROLE_BYTES, bytes_in_token};

/// How often a change is decided anew when others change roles at the same time.
const ATTEMPTS: usize = 5;
/// The most bytes of one list in an audit event; what is longer is cut, with the number of the rest.
const MAX_DETAIL_BYTES: usize = 4 * 1_024;

/// Decides anew while others were faster.
macro_rules! repeatedly {
    ($attempt:expr) => {{
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            match $attempt.await {
                Err(error) if left > 0 && RoleError::is_overtaken(&error) => {}
                done => return done,
            }
        }
    }};
}

/// The permissions that AuthKit itself asks for, and what each is for.
pub const OWN_PERMISSIONS: &[(&str, &str)] = &[
    ("users:read", "Search and read accounts"),
    ("users:write", "Make, change, suspend, restore and delete accounts"),
    ("users:impersonate", "Act as somebody else for a while"),
    ("sessions:read", "List the sessions of an account"),
    ("sessions:write", "End the sessions of an account"),
    ("roles:read", "Read roles, and who holds a permission"),
    ("roles:write", "Make, change and delete roles"),
    ("roles:assign", "Give and take roles"),
    ("audit:read", "Read the audit log"),
    ("outbox:read", "List messages that wait, were sent, or could not be"),
    ("outbox:write", "Have a message tried again that was given up, or remove it"),
];

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
    /// The version that the caller has seen: of another one nothing is changed.
    pub if_version: Option<u32>,
}

/// A role for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleGrant {
    /// Whose.
    pub user_id: UserId,
    /// Which role.
    pub role: RoleName,
    /// Where it counts; `None` for everywhere.
    pub scope: Option<Scope>,
    /// Until when; `None` for good.
    pub expires_at: Option<Timestamp>,
}

/// Whether a change is made, or only shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// It is made.
    Real,
    /// It is decided as if it were made, and nothing is changed.
    Dry,
}

/// Why a change of roles was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoleError {
    /// The caller may not do this at all.
    #[error(transparent)]
    Authorize(#[from] AuthorizeError),
    /// The role gives what the caller does not hold herself, there or for as long.
    #[error("nobody hands on or takes away what she does not hold herself")]
    NotHeld,
    /// There is no such role.
    #[error("there is no such role")]
    NotFound,
    /// There is no such account.
    #[error("there is no such account")]
    UserNotFound,
    /// The account does not have the role there.
    #[error("the account does not have this role there")]
    NotAssigned,
    /// A role has this name.
    #[error("a role has this name")]
    NameTaken,
    /// The role is built in.
    #[error("the role is built in and can be neither changed nor deleted")]
    BuiltIn,
    /// The role would inherit itself.
    #[error("the role would inherit itself")]
    Cycle,
    /// There is no role of this name to inherit.
    #[error("there is no role `{role}` to inherit")]
    UnknownInherited {
        /// Its name.
        role: RoleName,
    },
    /// Somebody has the role.
    #[error("somebody has the role: take it from everybody first")]
    InUse,
    /// Another role inherits the role.
    #[error("the role `{by}` inherits this one: change that first")]
    Inherited {
        /// Which.
        by: RoleName,
    },
    /// More than there may be.
    #[error("too many {what}: at most {most}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// The end of the assignment has passed.
    #[error("the end of the assignment has passed")]
    Expired,
    /// The role was changed since it was read.
    #[error("the role was changed since it was read")]
    Changed,
    /// Nobody would hold everything any more.
    #[error("nobody would hold every permission any more")]
    LastSuperuser,
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl RoleError {
    const fn is_overtaken(error: &Self) -> bool {
        matches!(
            error,
            Self::Internal(Internal::Conflict(CommitError::Conflict(
                Conflict::RolesChanged | Conflict::AccessChanged | Conflict::AuthorityChanged | Conflict::RoleTaken,
            )))
        )
    }

    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Authorize(error) => error.code(),
            Self::NotHeld => "role.not_held",
            Self::NotFound => "role.not_found",
            Self::UserNotFound => "account.not_found",
            Self::NotAssigned => "role.not_assigned",
            Self::NameTaken => "role.name_taken",
            Self::BuiltIn => "role.built_in",
            Self::Cycle => "role.cycle",
            Self::UnknownInherited { .. } => "role.unknown",
            Self::InUse | Self::Inherited { .. } => "role.in_use",
            Self::TooMany { .. } => "role.too_many",
            Self::Expired => "role.expired",
            Self::Changed => "role.changed",
            Self::LastSuperuser => "role.last_superuser",
            Self::Internal(error) => error.code(),
        }
    }
}

/// Every role, in the order of their names.
pub(crate) async fn list(engine: &Engine, by: Administrator<'_>) -> Result<Vec<Role>, RoleError> {
    let authority = authorize_administrator(engine, by, "roles:read", None).await?;
    let mut roles: Vec<Role> = authority.graph().roles().cloned().collect();
    roles.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(roles)
}

/// One role.
pub(crate) async fn read(engine: &Engine, by: Administrator<'_>, name: &RoleName) -> Result<Role, RoleError> {
    let authority = authorize_administrator(engine, by, "roles:read", None).await?;
    authority.graph().role(name).cloned().ok_or(RoleError::NotFound)
}

/// The permissions that some role names, and those that AuthKit asks for, in their order.
pub(crate) async fn permissions(engine: &Engine, by: Administrator<'_>) -> Result<BTreeSet<Permission>, RoleError> {
    let authority = authorize_administrator(engine, by, "roles:read", None).await?;
    let own = OWN_PERMISSIONS.iter().filter_map(|(text, _)| text.parse().ok());
    Ok(authority.graph().roles().flat_map(|role| role.permissions.iter().cloned()).chain(own).collect())
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
        if update.if_version.is_some_and(|seen| seen != before.version) {
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
            version: before.version.saturating_add(1),
            updated_at: authority.at(),
            ..before.clone()
        };
        let after = with(authority.graph(), role.clone())?;
        let event = changed(event(engine, &authority, AuditAction::RoleChanged, context), &before, &role);
        held(engine, &authority, &[(authority.graph(), name), (&after, name)], &event).await?;
        let impact = role_impact::of_graphs(engine, authority.graph(), &after, authority.at()).await?;
        let change = RoleChange::Update { role: Box::new(role.clone()), from: version(&authority) };
        let mut changes = ChangeSet::new().and(change);
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

/// Deletes a role that nobody has and no other role inherits.
pub(crate) async fn delete(
    engine: &Engine,
    by: Administrator<'_>,
    name: &RoleName,
    if_version: Option<u32>,
    run: Run,
    context: &RequestContext,
) -> Result<(), RoleError> {
    repeatedly!(async {
        let authority = authorize_administrator(engine, by, "roles:write", None).await?;
        let role = authority.graph().role(name).cloned().ok_or(RoleError::NotFound)?;
        if if_version.is_some_and(|seen| seen != role.version) {
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
        if run == Run::Dry {
            let one = PageRequest { limit: PageLimit::new(1).unwrap_or_default(), cursor: None };
            let holders = engine.store.users_with_role(name, one).await.map_err(Internal::from)?;
            return if holders.items.is_empty() { Ok(()) } else { Err(RoleError::InUse) };
        }
        let change = RoleChange::Delete { name: name.clone(), from: version(&authority) };
        commit(engine, &authority, ChangeSet::new().and(change), event, run).await
    })
}

/// Gives somebody a role, or another end to one that she has; returns her account as it is then.
pub(crate) async fn assign(
    engine: &Engine,
    by: Administrator<'_>,
    grant: &RoleGrant,
    run: Run,
    context: &RequestContext,
) -> Result<(User, RoleImpact), RoleError> {
    repeatedly!(async {
        let authority = authorize_administrator(engine, by, "roles:assign", grant.scope.as_ref()).await?;
        let at = authority.at();
        if grant.expires_at.is_some_and(|end| end <= at) {
            return Err(RoleError::Expired);
        }
        let gives = authority.graph().gives(&grant.role).ok_or(RoleError::NotFound)?;
        let event = event(engine, &authority, AuditAction::RoleAssigned, context).on(grant.user_id);
        let event = granted(event, &grant.role, grant.scope.as_ref(), grant.expires_at);
        if !authority.can_hand_on(gives, grant.scope.as_ref(), grant.expires_at) {
            return refuse(engine, event).await;
        }
        let user = account(engine, grant.user_id).await?;
        let new = Assignment {
            role: grant.role.clone(),
            scope: grant.scope.clone(),
            expires_at: grant.expires_at,
            assigned_by: authority.user_id(),
            assigned_at: at,
        };
        let old = position(&user, &grant.role, grant.scope.as_ref()).map(|at| &user.access.assignments[at]);
        if old.is_some_and(|old| old.expires_at == new.expires_at) {
            return Ok((user, RoleImpact::default()));
        }
        // What is made shorter is taken away from then on.
        let event = match old {
            Some(old) if !authority.can_hand_on(gives, grant.scope.as_ref(), old.expires_at) => {
                return refuse(engine, event).await;
            }
            Some(old) => event.with("expires_before", end_of(old)),
            None => event,
        };
        let spares = old.is_some_and(|old| holds_everything_for_good(old, authority.graph()));
        let mut to = still_in_force(&user, at);
        to.retain(|held| (&held.role, &held.scope) != (&new.role, &new.scope));
        to.push(new);
        replace(engine, &authority, user, to, spares, event, run).await
    })
}

/// Takes a role from somebody; returns her account as it is then.
pub(crate) async fn unassign(
    engine: &Engine,
    by: Administrator<'_>,
    user_id: UserId,
    role: &RoleName,
    scope: Option<&Scope>,
    run: Run,
    context: &RequestContext,
) -> Result<(User, RoleImpact), RoleError> {
    repeatedly!(async {
        let authority = authorize_administrator(engine, by, "roles:assign", scope).await?;
        let user = account(engine, user_id).await?;
        let position = position(&user, role, scope).ok_or(RoleError::NotAssigned)?;
        let old = user.access.assignments[position].clone();
        let event = event(engine, &authority, AuditAction::RoleUnassigned, context).on(user_id);
        let event = granted(event, role, scope, old.expires_at);
        let is_held = authority.graph().gives(role).is_none_or(|gives| authority.can_hand_on(gives, scope, old.expires_at));
        if !is_held && authority.user_id() != Some(user_id) {
            return refuse(engine, event).await;
        }
        let spares = holds_everything_for_good(&old, authority.graph());
        let mut to = still_in_force(&user, authority.at());
        to.retain(|held| (&held.role, held.scope.as_ref()) != (role, scope));
        replace(engine, &authority, user, to, spares, event, run).await
    })
}

/// Commits other assignments of an account.
async fn replace(
    engine: &Engine,
    authority: &Authority,
    user: User,
    mut to: Vec<Assignment>,
    spares_the_last: bool,
    event: AuditEvent,
    run: Run,
) -> Result<(User, RoleImpact), RoleError> {
    to.sort_by(|one, other| (&one.role, &one.scope).cmp(&(&other.role, &other.scope)));
    if to.len() > Access::MAX_ASSIGNMENTS {
        return Err(RoleError::TooMany { what: "roles of one account", most: Access::MAX_ASSIGNMENTS });
    }
    if to.iter().map(bytes_in_token).sum::<usize>() > MAX_ROLE_BYTES {
        return Err(RoleError::TooMany { what: "bytes of role names and scopes of one account", most: MAX_ROLE_BYTES });
    }
    let (id, at, from) = (user.id, authority.at(), user.access.version);
    let mut changes = ChangeSet::new();
    if spares_the_last {
        changes = changes.and(RoleChange::SpareLastHolder { user_id: id });
    }
    changes = changes.and(UserChange::ReplaceAssignments { id, from, to: to.clone(), roles_version: version(authority), at });
    let access = Access { version: from.saturating_add(1), assignments: to };
    let after = User { access, version: user.version.saturating_add(1), updated_at: at, ..user.clone() };
    let impact = role_impact::of_account(&user, &after, authority.graph(), at);
    if run == Run::Dry && spares_the_last && !somebody_else_holds_everything(engine, authority.graph(), id).await? {
        return Err(RoleError::LastSuperuser);
    }
    commit(engine, authority, changes, event, run).await?;
    Ok((after, impact))
}

/// Commits, with the guard of whoever acts behind what it may have to wait for.
async fn commit(
    engine: &Engine,
    authority: &Authority,
    changes: ChangeSet,
    event: AuditEvent,
    run: Run,
) -> Result<(), RoleError> {
    if run == Run::Dry {
        return Ok(());
    }
    let changes = match authority.guard() {
        Some(guard) => changes.and(guard),
        None => changes,
    };
    match engine.commit(&changes.and(event.clone())).await {
        Ok(_) => Ok(()),
        Err(CommitError::Conflict(Conflict::LastSuperuser)) => {
            record_refusal(engine, event, "last_superuser").await?;
            Err(RoleError::LastSuperuser)
        }
        Err(CommitError::Conflict(Conflict::RoleInUse)) => Err(RoleError::InUse),
        Err(error) => Err(Internal::from(error).into()),
    }
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

/// Records that somebody reached for more than she holds.
async fn refuse<T>(engine: &Engine, event: AuditEvent) -> Result<T, RoleError> {
    record_refusal(engine, event, "not_held").await?;
    Err(RoleError::NotHeld)
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

fn version(authority: &Authority) -> u32 {
    authority.graph().version().unwrap_or_default()
}

async fn account(engine: &Engine, id: UserId) -> Result<User, RoleError> {
    engine.store.user_by_id(id).await.map_err(Internal::from)?.ok_or(RoleError::UserNotFound)
}

fn position(user: &User, role: &RoleName, scope: Option<&Scope>) -> Option<usize> {
    user.access.assignments.iter().position(|held| (&held.role, held.scope.as_ref()) == (role, scope))
}

/// The assignments of an account without those that have expired: there is no need to carry them on.
fn still_in_force(user: &User, now: Timestamp) -> Vec<Assignment> {
    user.access.assignments.iter().filter(|assignment| assignment.is_in_force(now)).cloned().collect()
}

fn holds_everything_for_good(assignment: &Assignment, graph: &RoleGraph) -> bool {
    assignment.scope.is_none()
        && assignment.expires_at.is_none()
        && graph.gives(&assignment.role).is_some_and(|gives| gives.holds_everything())
}

/// Whether a role gave everything and gives it no more.
fn takes_everything(before: &RoleGraph, after: &RoleGraph) -> bool {
    let gives_it = |graph: &RoleGraph, name| graph.gives(name).is_some_and(|gives| gives.holds_everything());
    before.roles().any(|role| gives_it(before, &role.name) && !gives_it(after, &role.name))
}

/// Whether somebody holds everything now: whoever acts on a role that gives it does, and where it is the operator somebody may.
async fn somebody_holds_everything(engine: &Engine, authority: &Authority) -> Result<bool, Internal> {
    if authority.user_id().is_some() {
        return Ok(true);
    }
    holder_exists(engine, authority.graph()).await
}

async fn holder_exists(engine: &Engine, graph: &RoleGraph) -> Result<bool, Internal> {
    role_impact::holder_of_everything(engine, graph, None).await
}

async fn somebody_else_holds_everything(engine: &Engine, graph: &RoleGraph, than: UserId) -> Result<bool, Internal> {
    role_impact::holder_of_everything(engine, graph, Some(than)).await
}

fn event(engine: &Engine, authority: &Authority, action: AuditAction, context: &RequestContext) -> AuditEvent {
    engine.event(authority.at(), action, Outcome::Success, context).by(authority.actor())
}

fn granted(event: AuditEvent, role: &RoleName, scope: Option<&Scope>, end: Option<Timestamp>) -> AuditEvent {
    let event = event.with("role", role.as_str());
    let event = match scope {
        Some(scope) => event.with("scope", scope.as_str()),
        None => event,
    };
    match end {
        Some(end) => event.with("expires_at", end.to_string()),
        None => event,
    }
}

fn end_of(assignment: &Assignment) -> String {
    assignment.expires_at.map_or_else(|| "never".to_owned(), |end| end.to_string())
}

/// An event with what differs between two forms of a role.
fn changed(event: AuditEvent, before: &Role, after: &Role) -> AuditEvent {
    let mut event = event.with("role", before.name.as_str());
    if before.description != after.description {
        let text = |role: &Role| role.description.as_ref().map_or("", RoleDescription::as_str).to_owned();
        event = event.with("description_before", text(before)).with("description_after", text(after));
    }
    for (name, one, other) in [
        ("permissions_removed", &before.permissions, &after.permissions),
        ("permissions_added", &after.permissions, &before.permissions),
    ] {
        let difference: BTreeSet<_> = one.difference(other).cloned().collect();
        if !difference.is_empty() {
            event = event.with(name, listed(&difference));
        }
    }
    if before.inherits != after.inherits {
        event = event.with("inherits_before", listed(&before.inherits)).with("inherits_after", listed(&after.inherits));
    }
    event
}

/// A list in an audit event.
fn listed<T: std::fmt::Display>(items: &BTreeSet<T>) -> String {
    let mut text = String::new();
    for (number, item) in items.iter().enumerate() {
        let item = item.to_string();
        if text.len() + item.len() > MAX_DETAIL_BYTES {
            return format!("{text} and {} more", items.len() - number);
        }
        if number > 0 {
            text.push(' ');
        }
        text.push_str(&item);
    }
    text
}
