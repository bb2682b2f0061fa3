//! Roles, and what they give: `/api/v1/admin/roles` and `/api/v1/admin/permissions`.

use std::fmt::Display;
use std::ops::Bound;
use std::str::FromStr;

use authkit_core::flows::{Administrator, NewRole, RoleUpdate, Run};
use authkit_core::model::{RequestContext, Role};
use authkit_core::{AuthKit, PageLimit, Permission, RoleName};
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;

use super::caller::Caller;
use super::field::Fields;
use super::me::{invalid_parameter, limit, page, patch};
use super::precondition::{if_role_match, role_tag};
use super::refusal::{no_such_role, refused};
use super::role_reply::{HolderPageBody, PermissionBody, PermissionPageBody, RoleBody, RolePageBody};
use super::tag::Tag;
use crate::http::StrictJson;
use crate::problem::Problem;

/// A role to make.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewRole")]
struct NewRoleBody {
    /// Its name: a lower-case slug of at most 64 characters.
    name: String,
    /// What it is for, at most 200 characters.
    description: Option<String>,
    /// What it gives: `resource:action`, `resource:*` or `*`; at most 1,000.
    permissions: Option<Vec<String>>,
    /// The roles whose permissions it gives as well; at most 64.
    inherits: Option<Vec<String>>,
    /// Whether nobody who has it, or a role that inherits it, logs in without a second factor; by default not.
    mfa_required: Option<bool>,
}

/// What becomes of a role: members that are not there stay.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "RoleUpdate")]
struct RoleUpdateBody {
    /// What it is for, at most 200 characters; `null` empties.
    #[serde(default)]
    description: MaybeUndefined<String>,
    /// Everything that it gives by itself from now on; at most 1,000.
    permissions: Option<Vec<String>>,
    /// Every role that it inherits from now on; at most 64.
    inherits: Option<Vec<String>>,
    /// Whether it demands a second factor from now on. Sessions that have begun go on.
    mfa_required: Option<bool>,
}

/// A role, and the state in which it was read.
#[derive(ApiResponse)]
enum OneRole {
    /// The role; in a dry run as it would be.
    #[oai(status = 200)]
    Read(
        Json<RoleBody>,
        /// Names the state of the role, for `If-Match`; not there in a dry run.
        #[oai(header = "ETag")]
        Option<String>,
    ),
}

impl OneRole {
    fn read(role: &Role) -> Self {
        Self::Read(Json(role.into()), Some(role_tag(role)))
    }
}

/// A role was made, or would be.
#[derive(ApiResponse)]
enum MadeRole {
    /// The role was made.
    #[oai(status = 201)]
    Made(
        Json<RoleBody>,
        /// Names the state of the role, for `If-Match`.
        #[oai(header = "ETag")]
        String,
        /// Where the role is.
        #[oai(header = "Location")]
        String,
    ),
    /// A dry run: the role as it would be.
    #[oai(status = 200)]
    Shown(Json<RoleBody>),
}

/// A role was deleted, or would be.
#[derive(ApiResponse)]
#[expect(clippy::large_enum_variant, reason = "there is one of it, and it is sent at once")]
enum DeletedRole {
    /// The role is gone.
    #[oai(status = 204)]
    Gone,
    /// A dry run: the role, which could be deleted.
    #[oai(status = 200)]
    Shown(Json<RoleBody>),
}

/// The routes of roles.
#[derive(Debug)]
pub struct AdminRoleRoutes {
    auth: AuthKit,
}

impl AdminRoleRoutes {
    pub(super) const fn new(auth: AuthKit) -> Self {
        Self { auth }
    }
}

#[OpenApi(prefix_path = "/api/v1/admin", tag = "Tag::Roles")]
impl AdminRoleRoutes {
    /// List roles
    ///
    /// Needs `roles:read`. In the order of their names.
    #[oai(path = "/roles", method = "get", operation_id = "adminListRoles")]
    async fn list(
        &self,
        Caller(caller): Caller,
        /// How many at most: 1 to 200, by default 50.
        limit: Query<Option<String>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> poem::Result<Json<RolePageBody>> {
        let (limit, after) = named_page::<RoleName>(limit.0.as_deref(), cursor.0.as_deref())?;
        let roles = self.auth.roles().list((&caller).into()).await.map_err(refused)?;
        let (items, next_cursor) = cut(roles.iter(), |role| &role.name, after.as_ref(), limit);
        Ok(Json(RolePageBody { items: items.into_iter().map(RoleBody::from).collect(), next_cursor }))
    }

    /// Make a role
    ///
    /// Needs `roles:write`, and everywhere and for good every permission that the role gives, by itself or by what it inherits.
    #[oai(path = "/roles", method = "post", operation_id = "adminCreateRole")]
    async fn create(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// `true`: nothing is made, and the reply says what would be.
        dry_run: Query<Option<String>>,
        StrictJson(body): StrictJson<NewRoleBody>,
    ) -> poem::Result<MadeRole> {
        let run = run(dry_run.0.as_deref())?;
        let mut fields = Fields::default();
        let name = fields.role_name("name", &body.name);
        let description = fields.role_description("description", body.description.as_deref());
        let permissions = fields.set("permissions", "invalid_permission", body.permissions.as_deref()).unwrap_or_default();
        let inherits = fields.set("inherits", "invalid_role_name", body.inherits.as_deref()).unwrap_or_default();
        let new = NewRole {
            name: fields.complete(name)?,
            description,
            permissions,
            inherits,
            mfa_required: body.mfa_required.unwrap_or_default(),
        };
        let (role, impact) = self.auth.roles().create((&caller).into(), &new, run, &context).await.map_err(refused)?;
        Ok(match run {
            Run::Dry => MadeRole::Shown(Json(RoleBody::shown(&role, &impact))),
            Run::Real => MadeRole::Made(Json((&role).into()), role_tag(&role), format!("/api/v1/admin/roles/{}", role.name)),
        })
    }

    /// Read a role
    ///
    /// Needs `roles:read`.
    #[oai(path = "/roles/:name", method = "get", operation_id = "adminGetRole")]
    async fn show(
        &self,
        Caller(caller): Caller,
        /// The name of the role.
        name: Path<String>,
    ) -> poem::Result<OneRole> {
        Ok(OneRole::read(&self.auth.roles().read((&caller).into(), &role_name(&name)?).await.map_err(refused)?))
    }

    /// Change a role
    ///
    /// Needs `roles:write`, and every permission that the role gives, before and after. Members that are not there stay as they are. What
    /// the role gives is what everybody has who has it, within a second; the last holder of every permission stays.
    #[oai(path = "/roles/:name", method = "patch", operation_id = "adminUpdateRole")]
    async fn update(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The name of the role.
        name: Path<String>,
        /// The `ETag` of the role as you have read it: 412 when it was changed since.
        #[oai(name = "If-Match")]
        expected: Header<Option<String>>,
        /// `true`: nothing is changed, and the reply says who would gain and lose what.
        dry_run: Query<Option<String>>,
        StrictJson(body): StrictJson<RoleUpdateBody>,
    ) -> poem::Result<OneRole> {
        let (name, expected, run) = (role_name(&name)?, if_role_match(expected.0.as_deref())?, run(dry_run.0.as_deref())?);
        let mut fields = Fields::default();
        let description = patch(body.description, |text| fields.role_description("description", Some(text)));
        let permissions = fields.set("permissions", "invalid_permission", body.permissions.as_deref());
        let inherits = fields.set("inherits", "invalid_role_name", body.inherits.as_deref());
        fields.complete(())?;
        let update = RoleUpdate { description, permissions, inherits, mfa_required: body.mfa_required, expected };
        let (role, impact) = self.auth.roles().update((&caller).into(), &name, &update, run, &context).await.map_err(refused)?;
        Ok(match run {
            Run::Dry => OneRole::Read(Json(RoleBody::shown(&role, &impact)), None),
            Run::Real => OneRole::read(&role),
        })
    }

    /// Delete a role
    ///
    /// Needs `roles:write`, and every permission that the role gives. Nobody has it, and no other role inherits it.
    #[oai(path = "/roles/:name", method = "delete", operation_id = "adminDeleteRole")]
    async fn delete(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The name of the role.
        name: Path<String>,
        /// The `ETag` of the role as you have read it: 412 when it was changed since.
        #[oai(name = "If-Match")]
        expected: Header<Option<String>>,
        /// `true`: nothing is deleted, and the reply says whether it could be.
        dry_run: Query<Option<String>>,
    ) -> poem::Result<DeletedRole> {
        let (name, expected, run) = (role_name(&name)?, if_role_match(expected.0.as_deref())?, run(dry_run.0.as_deref())?);
        let by = Administrator::from(&caller);
        let (role, impact) = self.auth.roles().delete(by, &name, &expected, run, &context).await.map_err(refused)?;
        Ok(match run {
            Run::Dry => DeletedRole::Shown(Json(RoleBody::shown(&role, &impact))),
            Run::Real => DeletedRole::Gone,
        })
    }

    /// List permissions
    ///
    /// Needs `roles:read`. Those that some role gives by itself, and those that this service asks for.
    #[oai(path = "/permissions", method = "get", operation_id = "adminListPermissions")]
    async fn permissions(
        &self,
        Caller(caller): Caller,
        /// How many at most: 1 to 200, by default 50.
        limit: Query<Option<String>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> poem::Result<Json<PermissionPageBody>> {
        let (limit, after) = named_page::<Permission>(limit.0.as_deref(), cursor.0.as_deref())?;
        let all = self.auth.roles().permissions((&caller).into()).await.map_err(refused)?;
        let behind = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let (items, next_cursor) =
            cut(all.range::<Permission, _>((behind, Bound::Unbounded)), |permission| permission, None, limit);
        Ok(Json(PermissionPageBody { items: items.into_iter().map(PermissionBody::new).collect(), next_cursor }))
    }

    /// Who holds a permission
    ///
    /// Needs `roles:read`. Everybody whose roles give it, in whatever scope, and by which of them.
    #[oai(path = "/permissions/:permission/holders", method = "get", operation_id = "adminListHolders")]
    async fn holders(
        &self,
        Caller(caller): Caller,
        /// The permission, such as `invoice:write`.
        permission: Path<String>,
        /// How many at most: 1 to 200, by default 50.
        limit: Query<Option<String>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> poem::Result<Json<HolderPageBody>> {
        let needed: Permission = permission.0.parse().map_err(|error| invalid_parameter("permission", format!("{error}")))?;
        let page = page(limit.0.as_deref(), cursor.0.as_deref())?;
        Ok(Json(self.auth.roles().who_can((&caller).into(), &needed, page).await.map_err(refused)?.into()))
    }
}

/// What is not a name names no role: the same answer as for one that is not there.
pub(super) fn role_name(text: &Path<String>) -> Result<RoleName, Problem> {
    text.0.parse().map_err(|_| no_such_role())
}

/// Whether it is only shown.
pub(super) fn run(dry_run: Option<&str>) -> Result<Run, Problem> {
    match dry_run {
        None | Some("false") => Ok(Run::Real),
        Some("true") => Ok(Run::Dry),
        // SECURITY: whoever asks for a dry run in a way that is not understood does not want a real one.
        Some(_) => Err(invalid_parameter("dry_run", "must be true or false")),
    }
}

/// The page of a list that is in the order of names: how many, behind which.
fn named_page<T: FromStr<Err: Display>>(
    limit_text: Option<&str>,
    cursor: Option<&str>,
) -> Result<(PageLimit, Option<T>), Problem> {
    let after = cursor.map(|text| text.parse().map_err(|_| invalid_parameter("cursor", "must be the next_cursor of a page")));
    Ok((limit(limit_text)?, after.transpose()?))
}

/// The items behind a name, as many as there may be, and the name of the last one where there are more.
fn cut<'i, I, K: Ord + ToString + 'i>(
    items: impl Iterator<Item = &'i I>,
    name: impl Fn(&'i I) -> &'i K,
    after: Option<&K>,
    limit: PageLimit,
) -> (Vec<&'i I>, Option<String>) {
    let limit = usize::from(limit.value());
    let mut page: Vec<&I> = items.filter(|item| after.is_none_or(|after| name(item) > after)).take(limit + 1).collect();
    let is_more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| is_more).map(|item| name(item).to_string());
    (page, next)
}
