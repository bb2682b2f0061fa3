//! Who has which role: `/api/v1/admin/users/{id}/roles`.

use authkit_core::AuthKit;
use authkit_core::flows::{RoleGrant, Run};
use authkit_core::model::RequestContext;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;

use super::admin_roles::{role_name, run};
use super::admin_users::user_id;
use super::caller::Caller;
use super::field::Fields;
use super::me::invalid_parameter;
use super::refusal::refused;
use super::role_reply::AccountRolesBody;
use super::tag::Tag;
use crate::http::OptionalJson;

/// Where and for how long a role is given.
#[derive(Debug, Default, Object, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[oai(rename = "RoleGrant")]
struct GrantBody {
    /// Where it counts, such as `tenant:acme`; everywhere when nothing is said.
    scope: Option<String>,
    /// Until when it counts (RFC 3339); for good when nothing is said.
    expires_at: Option<String>,
}

/// Where a role is taken.
#[derive(Debug, Default, Object, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[oai(rename = "RoleWithdrawal")]
struct WithdrawalBody {
    /// In which scope it was given; the one that counts everywhere when nothing is said.
    scope: Option<String>,
}

/// A role was taken, or would be.
#[derive(ApiResponse)]
enum Taken {
    /// The account does not have the role there any more.
    #[oai(status = 204)]
    Gone,
    /// A dry run: the roles of the account as they would be.
    #[oai(status = 200)]
    Shown(Json<AccountRolesBody>),
}

/// The routes of the roles of an account.
#[derive(Debug)]
pub struct UserRoleRoutes {
    auth: AuthKit,
}

impl UserRoleRoutes {
    pub(super) const fn new(auth: AuthKit) -> Self {
        Self { auth }
    }
}

#[OpenApi(prefix_path = "/api/v1/admin/users", tag = "Tag::Roles")]
impl UserRoleRoutes {
    /// The roles of an account
    ///
    /// Needs `roles:read`. With what they permit right now.
    #[oai(path = "/:id/roles", method = "get", operation_id = "adminGetUserRoles")]
    async fn list(
        &self,
        Caller(caller): Caller,
        /// The `id` of the account.
        id: Path<String>,
    ) -> poem::Result<Json<AccountRolesBody>> {
        let access = self.auth.roles().read_access((&caller).into(), user_id(&id)?).await.map_err(refused)?;
        Ok(Json((&access).into()))
    }

    /// Give somebody a role
    ///
    /// Needs `roles:assign`, in the scope or everywhere, and there and for as long every permission that the role gives. A role that she
    /// has there gets the new end. It counts within a second, also for tokens that were issued before.
    #[oai(path = "/:id/roles/:role", method = "put", operation_id = "adminAssignRole")]
    async fn assign(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the account.
        id: Path<String>,
        /// The name of the role.
        role: Path<String>,
        /// `true`: nothing is given, and the reply says who would gain and lose what.
        dry_run: Query<Option<String>>,
        OptionalJson(body): OptionalJson<GrantBody>,
    ) -> poem::Result<Json<AccountRolesBody>> {
        let (user_id, role, run) = (user_id(&id)?, role_name(&role)?, run(dry_run.0.as_deref())?);
        let mut fields = Fields::default();
        let scope = fields.scope("scope", body.scope.as_deref());
        let expires_at = fields.instant("expires_at", body.expires_at.as_deref());
        fields.complete(())?;
        let grant = RoleGrant { user_id, role, scope, expires_at };
        let (user, impact) = self.auth.roles().assign((&caller).into(), &grant, run, &context).await.map_err(refused)?;
        let access = self.auth.roles().access_of(&user);
        Ok(Json(match run {
            Run::Dry => AccountRolesBody::shown(&access, &impact),
            Run::Real => (&access).into(),
        }))
    }

    /// Take a role from somebody
    ///
    /// Needs `roles:assign`, in the scope or everywhere, and there every permission that the role gives, unless it is your own. The last
    /// holder of every permission keeps it.
    #[oai(path = "/:id/roles/:role", method = "delete", operation_id = "adminUnassignRole")]
    #[expect(clippy::too_many_arguments, reason = "one for each part of the request")]
    async fn unassign(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the account.
        id: Path<String>,
        /// The name of the role.
        role: Path<String>,
        /// In which scope it was given; the one that counts everywhere when nothing is said, here or in the body.
        scope: Query<Option<String>>,
        /// `true`: nothing is taken, and the reply says who would gain and lose what.
        dry_run: Query<Option<String>>,
        OptionalJson(body): OptionalJson<WithdrawalBody>,
    ) -> poem::Result<Taken> {
        let (user_id, role, run) = (user_id(&id)?, role_name(&role)?, run(dry_run.0.as_deref())?);
        // SECURITY: what stands between may drop the body of a DELETE (RFC 9110 §9.3.5), and then another assignment would be taken than
        // was meant. So the scope can stand in the address, and where it stands in both, both say the same.
        let scope = match (scope.0, body.scope) {
            (Some(one), Some(other)) if one != other => {
                return Err(invalid_parameter("scope", "must be what the body says").into());
            }
            (one, other) => one.or(other),
        };
        let mut fields = Fields::default();
        let scope = fields.scope("scope", scope.as_deref());
        fields.complete(())?;
        let roles = self.auth.roles();
        let taken = roles.unassign((&caller).into(), user_id, &role, scope.as_ref(), run, &context).await;
        let (user, impact) = taken.map_err(refused)?;
        Ok(match run {
            Run::Dry => Taken::Shown(Json(AccountRolesBody::shown(&self.auth.roles().access_of(&user), &impact))),
            Run::Real => Taken::Gone,
        })
    }
}
