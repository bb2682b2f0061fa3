//! Who holds what, and who would gain and lose what.

use std::collections::{BTreeMap, BTreeSet};

use crate::flows::authorize::{Administrator, AuthorizeError, authorize_administrator};
use crate::flows::engine::{Engine, Internal};
use crate::model::{Assignment, User, UserStatus};
use crate::primitives::{Cursor, Email, Page, PageLimit, PageRequest, Permission, RoleName, Scope, Timestamp, UserId};
use crate::rbac::{EffectiveAccess, PermissionSet, RoleGraph};

/// How many accounts an impact names at most.
const MAX_ACCOUNTS: usize = 200;

/// What a change of roles does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoleImpact {
    /// The roles that give more or less, by themselves or by what they inherit, in the order of their names.
    pub roles: Vec<RoleDifference>,
    /// The accounts that gain or lose something right now, the greatest id first.
    pub accounts: Vec<AccountDifference>,
    /// Whether there may be more accounts than are named here.
    pub is_cut: bool,
}

/// What a role gives more and less. Wildcards are named as such.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoleDifference {
    /// Which role.
    pub role: RoleName,
    /// What it gives that it did not.
    pub gained: Vec<Permission>,
    /// What it gave and gives no more.
    pub lost: Vec<Permission>,
}

/// What an account gains and loses in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountDifference {
    /// Whose.
    pub user_id: UserId,
    /// Her address.
    pub email: Email,
    /// Where; `None` for everywhere.
    pub scope: Option<Scope>,
    /// What she may that she might not.
    pub gained: Vec<Permission>,
    /// What she might and may no more.
    pub lost: Vec<Permission>,
}

/// Somebody who holds a permission, and by which of her roles.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PermissionHolder {
    /// Who.
    pub user_id: UserId,
    /// Her address.
    pub email: Email,
    /// Whether her account may be used: who is suspended can do nothing for now.
    pub status: UserStatus,
    /// The assignments in force that give it.
    pub by: Vec<Assignment>,
}

/// Who holds a permission, the greatest id first. A page may be short, and empty, before the last one.
pub(crate) async fn who_can(
    engine: &Engine,
    by: Administrator<'_>,
    needed: &Permission,
    page: PageRequest,
) -> Result<Page<PermissionHolder>, AuthorizeError> {
    let authority = authorize_administrator(engine, by, "roles:read", None).await?;
    let roles: BTreeSet<&RoleName> = authority.graph().giving(needed.as_str());
    let Page { items, next } = with_any_role(engine, &roles, page).await?;
    let holder = |user: User| {
        let gives = |held: &Assignment| held.is_in_force(authority.at()) && roles.contains(&held.role);
        let by: Vec<Assignment> = user.access.assignments.into_iter().filter(gives).collect();
        (!by.is_empty()).then_some(PermissionHolder { user_id: user.id, email: user.email, status: user.status, by })
    };
    Ok(Page { items: items.into_iter().filter_map(holder).collect(), next })
}

/// One page of the accounts that have any of these roles, the greatest id first: the pages of each, merged.
async fn with_any_role(engine: &Engine, roles: &BTreeSet<&RoleName>, page: PageRequest) -> Result<Page<User>, Internal> {
    let mut found: BTreeMap<UserId, User> = BTreeMap::new();
    let mut is_more = false;
    for role in roles {
        let read = engine.store.users_with_role(role, page).await?;
        is_more |= read.next.is_some();
        found.extend(read.items.into_iter().map(|user| (user.id, user)));
    }
    let limit = usize::from(page.limit.value());
    is_more |= found.len() > limit;
    let items: Vec<User> = found.into_values().rev().take(limit).collect();
    let next = if is_more { items.last().map(|user| Cursor::after(user.id.as_uuid())) } else { None };
    Ok(Page { items, next })
}

/// Whether somebody (else) holds everything: active, everywhere, for good.
pub(super) async fn holder_of_everything(engine: &Engine, graph: &RoleGraph, than: Option<UserId>) -> Result<bool, Internal> {
    let roles: BTreeSet<&RoleName> = graph.giving(Permission::EVERYTHING);
    let mut page = PageRequest { limit: PageLimit::new(PageLimit::MAX).unwrap_or_default(), cursor: None };
    loop {
        let Page { items, next } = with_any_role(engine, &roles, page).await?;
        let holds = |held: &Assignment| held.scope.is_none() && held.expires_at.is_none() && roles.contains(&held.role);
        let is_one = |user: &User| user.status == UserStatus::Active && Some(user.id) != than;
        if items.iter().any(|user| is_one(user) && user.access.assignments.iter().any(holds)) {
            return Ok(true);
        }
        page.cursor = next;
        if page.cursor.is_none() {
            return Ok(false);
        }
    }
}

/// What changes when the roles of `before` become those of `after`.
pub(super) async fn of_graphs(
    engine: &Engine,
    before: &RoleGraph,
    after: &RoleGraph,
    now: Timestamp,
) -> Result<RoleImpact, Internal> {
    let names: BTreeSet<&RoleName> = before.roles().chain(after.roles()).map(|role| &role.name).collect();
    let nothing = PermissionSet::default();
    let gives = |graph: &RoleGraph, name| graph.gives(name).map_or_else(|| nothing.clone(), |set| PermissionSet::clone(set));
    let mut impact = RoleImpact::default();
    for name in names {
        if let Some((gained, lost)) = difference(&gives(before, name), &gives(after, name)) {
            impact.roles.push(RoleDifference { role: name.clone(), gained, lost });
        }
    }
    // A new role is nobody's yet.
    let touched: BTreeSet<&RoleName> =
        impact.roles.iter().map(|difference| &difference.role).filter(|name| before.role(name).is_some()).collect();
    let limit = PageLimit::new(PageLimit::MAX).unwrap_or_default();
    let Page { items, next } = with_any_role(engine, &touched, PageRequest { limit, cursor: None }).await?;
    impact.is_cut = next.is_some();
    let of = |user: &User, graph: &RoleGraph| EffectiveAccess::of(&user.access.assignments, graph);
    let accounts: Vec<_> = items.iter().flat_map(|user| of_access(user, &of(user, before), &of(user, after), now)).collect();
    impact.is_cut |= accounts.len() > MAX_ACCOUNTS;
    impact.accounts = accounts.into_iter().take(MAX_ACCOUNTS).collect();
    Ok(impact)
}

/// What changes when an account has other assignments.
pub(super) fn of_account(before: &User, after: &User, graph: &RoleGraph, now: Timestamp) -> RoleImpact {
    let of = |user: &User| EffectiveAccess::of(&user.access.assignments, graph);
    RoleImpact { accounts: of_access(after, &of(before), &of(after), now), ..RoleImpact::default() }
}

fn of_access(user: &User, before: &EffectiveAccess, after: &EffectiveAccess, now: Timestamp) -> Vec<AccountDifference> {
    let everywhere = difference(&before.everywhere(now), &after.everywhere(now)).map(|difference| (None, difference));
    let scopes: BTreeSet<&Scope> = before.scopes().chain(after.scopes()).collect();
    let scoped = scopes
        .into_iter()
        .filter_map(|scope| Some((Some(scope.clone()), difference(&before.only_in(scope, now), &after.only_in(scope, now))?)));
    let named = |(scope, (gained, lost))| AccountDifference { user_id: user.id, email: user.email.clone(), scope, gained, lost };
    everywhere.into_iter().chain(scoped).map(named).collect()
}

/// What the second set has more and less than the first; `None` when they hold the same.
fn difference(before: &PermissionSet, after: &PermissionSet) -> Option<(Vec<Permission>, Vec<Permission>)> {
    let only = |one: &PermissionSet, other: &PermissionSet| -> Vec<Permission> {
        one.to_permissions().into_iter().filter(|permission| !other.holds(permission.as_str())).collect()
    };
    let (gained, lost) = (only(after, before), only(before, after));
    (!gained.is_empty() || !lost.is_empty()).then_some((gained, lost))
}
