//! What the routes of roles answer: the members of each JSON reply.

use authkit_core::flows::{AccountAccess, AccountDifference, PermissionHolder, RoleDifference, RoleImpact, ScopedAccess};
use authkit_core::model::{Assignment, Role, User};
use authkit_core::{Page, Permission};
use poem_openapi::Object;

use super::reply::UserBody;

fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}

/// A role: permissions under a name.
#[derive(Debug, Object)]
#[oai(rename = "Role")]
pub(super) struct RoleBody {
    /// Names the role.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// Its own permissions: `resource:action`, `resource:*` or `*`.
    permissions: Vec<String>,
    /// The roles whose permissions it gives as well.
    inherits: Vec<String>,
    /// Whether nobody who has it, or a role that inherits it, logs in without a second factor.
    mfa_required: bool,
    /// Whether it came with the service, and can be neither changed nor deleted.
    built_in: bool,
    /// How often it was changed.
    version: u32,
    /// When it was made (RFC 3339).
    created_at: String,
    /// When it was last changed (RFC 3339).
    updated_at: String,
    /// Who would gain and lose what; there in a dry run alone.
    #[oai(skip_serializing_if_is_none)]
    impact: Option<RoleImpactBody>,
}

impl RoleBody {
    pub(super) fn shown(role: &Role, impact: &RoleImpact) -> Self {
        Self { impact: Some(impact.into()), ..Self::from(role) }
    }
}

impl From<&Role> for RoleBody {
    fn from(role: &Role) -> Self {
        Self {
            name: role.name.to_string(),
            description: role.description.as_ref().map(ToString::to_string),
            permissions: texts(&role.permissions),
            inherits: texts(&role.inherits),
            mfa_required: role.mfa_required,
            built_in: role.built_in,
            version: role.version,
            created_at: role.created_at.to_string(),
            updated_at: role.updated_at.to_string(),
            impact: None,
        }
    }
}

/// Who would gain and lose what.
#[derive(Debug, Object)]
#[oai(rename = "RoleImpact")]
pub(super) struct RoleImpactBody {
    /// The roles that would give more or less, by themselves or by what they inherit.
    roles: Vec<RoleDifferenceBody>,
    /// The accounts that would gain or lose something right now: 200 at most.
    accounts: Vec<AccountDifferenceBody>,
    /// Whether there may be more accounts than are named.
    is_cut: bool,
}

impl From<&RoleImpact> for RoleImpactBody {
    fn from(impact: &RoleImpact) -> Self {
        Self {
            roles: impact.roles.iter().map(RoleDifferenceBody::from).collect(),
            accounts: impact.accounts.iter().map(AccountDifferenceBody::from).collect(),
            is_cut: impact.is_cut,
        }
    }
}

/// What a role would give more and less.
#[derive(Debug, Object)]
#[oai(rename = "RoleDifference")]
struct RoleDifferenceBody {
    /// Which role.
    role: String,
    /// What it would give that it does not.
    gained: Vec<String>,
    /// What it gives and would give no more.
    lost: Vec<String>,
}

impl From<&RoleDifference> for RoleDifferenceBody {
    fn from(difference: &RoleDifference) -> Self {
        Self { role: difference.role.to_string(), gained: texts(&difference.gained), lost: texts(&difference.lost) }
    }
}

/// What an account would gain and lose in one place.
#[derive(Debug, Object)]
#[oai(rename = "AccountDifference")]
struct AccountDifferenceBody {
    /// Whose.
    user_id: String,
    /// Her address.
    email: String,
    /// Where; `null` for everywhere.
    scope: Option<String>,
    /// What she could do that she cannot.
    gained: Vec<String>,
    /// What she can do and could no more.
    lost: Vec<String>,
}

impl From<&AccountDifference> for AccountDifferenceBody {
    fn from(difference: &AccountDifference) -> Self {
        Self {
            user_id: difference.user_id.to_string(),
            email: difference.email.to_string(),
            scope: difference.scope.as_ref().map(ToString::to_string),
            gained: texts(&difference.gained),
            lost: texts(&difference.lost),
        }
    }
}

/// A page of roles, in the order of their names.
#[derive(Debug, Object)]
#[oai(rename = "RolePage")]
pub(super) struct RolePageBody {
    /// The roles.
    pub(super) items: Vec<RoleBody>,
    /// Pass it as `cursor` for the next page; `null` at the end of the list.
    pub(super) next_cursor: Option<String>,
}

/// A permission that a role can give.
#[derive(Debug, Object)]
#[oai(rename = "Permission")]
pub(super) struct PermissionBody {
    /// `resource:action`, `resource:*` or `*`.
    pub(super) permission: String,
    /// What it is for, where it is one that this service itself asks for.
    pub(super) description: Option<String>,
}

/// A page of permissions, in the order of their texts.
#[derive(Debug, Object)]
#[oai(rename = "PermissionPage")]
pub(super) struct PermissionPageBody {
    /// The permissions.
    pub(super) items: Vec<PermissionBody>,
    /// Pass it as `cursor` for the next page; `null` at the end of the list.
    pub(super) next_cursor: Option<String>,
}

/// That an account has a role.
#[derive(Debug, Object)]
#[oai(rename = "RoleAssignment")]
pub(super) struct AssignmentBody {
    /// Which role.
    role: String,
    /// Where it counts; `null` for everywhere.
    scope: Option<String>,
    /// Until when it counts (RFC 3339); `null` for good.
    expires_at: Option<String>,
    /// When it was assigned (RFC 3339).
    assigned_at: String,
    /// By whom; `null` for the operator, and where that is not yours to know.
    assigned_by: Option<String>,
}

impl AssignmentBody {
    /// As its owner sees it: that an administrator did it, and not which one.
    pub(super) fn own(assignment: &Assignment) -> Self {
        Self { assigned_by: None, ..Self::from(assignment) }
    }
}

impl From<&Assignment> for AssignmentBody {
    fn from(assignment: &Assignment) -> Self {
        Self {
            role: assignment.role.to_string(),
            scope: assignment.scope.as_ref().map(ToString::to_string),
            expires_at: assignment.expires_at.map(|end| end.to_string()),
            assigned_at: assignment.assigned_at.to_string(),
            assigned_by: assignment.assigned_by.map(|id| id.to_string()),
        }
    }
}

/// What counts in one scope, beside what counts everywhere.
#[derive(Debug, Object)]
#[oai(rename = "ScopedAccess")]
pub(super) struct ScopedAccessBody {
    /// Where.
    scope: String,
    /// The roles that count there.
    roles: Vec<String>,
    /// What they permit there.
    permissions: Vec<String>,
}

impl From<&ScopedAccess> for ScopedAccessBody {
    fn from(scoped: &ScopedAccess) -> Self {
        Self { scope: scoped.scope.to_string(), roles: texts(&scoped.roles), permissions: texts(&scoped.permissions) }
    }
}

/// The roles of an account, and what they permit right now.
#[derive(Debug, Object)]
#[oai(rename = "AccountRoles")]
pub(super) struct AccountRolesBody {
    /// Every assignment, those that have expired included.
    assignments: Vec<AssignmentBody>,
    /// The roles that count everywhere.
    roles: Vec<String>,
    /// What they permit everywhere; what a wildcard covers is not named beside it.
    permissions: Vec<String>,
    /// What counts in single scopes.
    scopes: Vec<ScopedAccessBody>,
    /// Who would gain and lose what; there in a dry run alone.
    #[oai(skip_serializing_if_is_none)]
    impact: Option<RoleImpactBody>,
}

impl AccountRolesBody {
    pub(super) fn shown(access: &AccountAccess, impact: &RoleImpact) -> Self {
        Self { impact: Some(impact.into()), ..Self::from(access) }
    }
}

impl From<&AccountAccess> for AccountRolesBody {
    fn from(access: &AccountAccess) -> Self {
        Self {
            assignments: access.assignments.iter().map(AssignmentBody::from).collect(),
            roles: texts(&access.roles),
            permissions: texts(&access.permissions),
            scopes: access.scopes.iter().map(ScopedAccessBody::from).collect(),
            impact: None,
        }
    }
}

/// Your account, and what you may.
#[derive(Debug, Object)]
#[oai(rename = "Profile")]
pub(super) struct ProfileBody {
    /// The account.
    #[oai(flatten)]
    user: UserBody,
    /// Your roles that count everywhere.
    roles: Vec<String>,
    /// What they permit everywhere: `resource:action`, `resource:*` or `*`; what a wildcard covers is not named beside it.
    permissions: Vec<String>,
    /// What counts in single scopes.
    scopes: Vec<ScopedAccessBody>,
}

impl ProfileBody {
    pub(super) fn new(user: &User, access: &AccountAccess) -> Self {
        Self {
            user: UserBody::from(user),
            roles: texts(&access.roles),
            permissions: texts(&access.permissions),
            scopes: access.scopes.iter().map(ScopedAccessBody::from).collect(),
        }
    }
}

/// Somebody who holds a permission.
#[derive(Debug, Object)]
#[oai(rename = "PermissionHolder")]
pub(super) struct HolderBody {
    /// Who.
    user_id: String,
    /// Her address.
    email: String,
    /// `active` or `suspended`: who is suspended can do nothing for now.
    status: String,
    /// The assignments in force that give it.
    by: Vec<AssignmentBody>,
}

/// A page of those who hold a permission, the youngest account first.
#[derive(Debug, Object)]
#[oai(rename = "PermissionHolderPage")]
pub(super) struct HolderPageBody {
    /// Who. A page may hold fewer than were asked for, and none, while there are more.
    items: Vec<HolderBody>,
    /// Pass it as `cursor` for the next page; `null` at the end of the list.
    next_cursor: Option<String>,
}

impl From<Page<PermissionHolder>> for HolderPageBody {
    fn from(page: Page<PermissionHolder>) -> Self {
        let holder = |holder: &PermissionHolder| HolderBody {
            user_id: holder.user_id.to_string(),
            email: holder.email.to_string(),
            status: holder.status.as_str().to_owned(),
            by: holder.by.iter().map(AssignmentBody::from).collect(),
        };
        Self { items: page.items.iter().map(holder).collect(), next_cursor: page.next.map(|cursor| cursor.to_string()) }
    }
}

impl PermissionBody {
    /// A permission, with what it is for where the service itself asks for it.
    pub(super) fn new(permission: &Permission) -> Self {
        let own = authkit_core::flows::OWN_PERMISSIONS.iter().find(|(text, _)| *text == permission.as_str());
        Self { permission: permission.to_string(), description: own.map(|(_, description)| (*description).to_owned()) }
    }
}
