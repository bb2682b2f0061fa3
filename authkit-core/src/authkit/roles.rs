//! The face of roles.

use std::collections::BTreeSet;

use crate::flows::engine::Engine;
use crate::flows::{
    self, AccountAccess, Administrator, AuthorizeError, ExpectedRole, NewRole, PermissionHolder, RoleError, RoleGrant,
    RoleImpact, RoleUpdate, Run,
};
use crate::model::{RequestContext, Role, User};
use crate::primitives::{Page, PageRequest, Permission, RoleName, Scope, UserId};

/// Roles: read, make, change, delete, give, take. What each asks for, and why it refuses, is in [`flows::admin_roles`].
#[derive(Debug, Clone, Copy)]
pub struct Roles<'a> {
    pub(super) engine: &'a Engine,
}

impl Roles<'_> {
    /// Every role, in the order of their names. Needs `roles:read`.
    pub async fn list(&self, by: Administrator<'_>) -> Result<Vec<Role>, RoleError> {
        flows::admin_roles::list(self.engine, by).await
    }

    /// One role. Needs `roles:read`.
    pub async fn read(&self, by: Administrator<'_>, name: &RoleName) -> Result<Role, RoleError> {
        flows::admin_roles::read(self.engine, by, name).await
    }

    /// The permissions that some role names, and those that AuthKit itself asks for. Needs `roles:read`.
    pub async fn permissions(&self, by: Administrator<'_>) -> Result<BTreeSet<Permission>, RoleError> {
        flows::admin_roles::permissions(self.engine, by).await
    }

    /// Makes a role. Needs `roles:write`, and all that the role gives.
    pub async fn create(
        &self,
        by: Administrator<'_>,
        new: &NewRole,
        run: Run,
        context: &RequestContext,
    ) -> Result<(Role, RoleImpact), RoleError> {
        flows::admin_roles::create(self.engine, by, new, run, context).await
    }

    /// Changes a role. Needs `roles:write`, and all that the role gives before and after.
    pub async fn update(
        &self,
        by: Administrator<'_>,
        name: &RoleName,
        update: &RoleUpdate,
        run: Run,
        context: &RequestContext,
    ) -> Result<(Role, RoleImpact), RoleError> {
        flows::admin_roles::update(self.engine, by, name, update, run, context).await
    }

    /// Deletes a role that nobody has, if it is still as it was read; returns it as it was. Needs `roles:write`, and all that the role gives.
    pub async fn delete(
        &self,
        by: Administrator<'_>,
        name: &RoleName,
        expected: &ExpectedRole,
        run: Run,
        context: &RequestContext,
    ) -> Result<(Role, RoleImpact), RoleError> {
        flows::admin_roles::delete(self.engine, by, name, expected, run, context).await
    }

    /// What an account has and may, to be shown: by the roles that this node knows, and without I/O.
    #[must_use]
    pub fn access_of(&self, user: &User) -> AccountAccess {
        flows::admin_roles::known_access(self.engine, user)
    }

    /// What an account has and may, as the store knows it. Needs `roles:read`.
    pub async fn read_access(&self, by: Administrator<'_>, id: UserId) -> Result<AccountAccess, RoleError> {
        flows::admin_roles::read_access(self.engine, by, id).await
    }

    /// Gives somebody a role. Needs `roles:assign` in the scope, and all that the role gives, there and for as long.
    pub async fn assign(
        &self,
        by: Administrator<'_>,
        grant: &RoleGrant,
        run: Run,
        context: &RequestContext,
    ) -> Result<(User, RoleImpact), RoleError> {
        flows::admin_roles::assign(self.engine, by, grant, run, context).await
    }

    /// Takes a role from somebody. Needs `roles:assign` in the scope, and all that the role gives there unless it is the caller's own.
    pub async fn unassign(
        &self,
        by: Administrator<'_>,
        user_id: UserId,
        role: &RoleName,
        scope: Option<&Scope>,
        run: Run,
        context: &RequestContext,
    ) -> Result<(User, RoleImpact), RoleError> {
        flows::admin_roles::unassign(self.engine, by, user_id, role, scope, run, context).await
    }

    /// Who holds a permission, and by which roles, the greatest id first. Needs `roles:read`.
    pub async fn who_can(
        &self,
        by: Administrator<'_>,
        needed: &Permission,
        page: PageRequest,
    ) -> Result<Page<PermissionHolder>, AuthorizeError> {
        flows::role_impact::who_can(self.engine, by, needed, page).await
    }
}
