//! The caller's own account: `/api/v1/users/me`.

use authkit_core::flows::{PasswordChange, ProfileUpdate};
use authkit_core::model::{Patch, RequestContext};
use authkit_core::{AuthKit, Cursor, PageLimit, PageRequest, SessionId};
use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::{Json, Response};
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;

use super::audit_reply::SecurityEventPageBody;
use super::caller::Caller;
use super::export::{ExportBody, Exported};
use super::field::Fields;
use super::refusal::{no_such_session, refused};
use super::reply::{Gone, MessageBody, SessionPageBody};
use super::reply::{PasswordChangedBody, with_cookie};
use super::role_reply::ProfileBody;
use super::tag::Tag;
use crate::http::{DeviceCookie, StrictJson};
use crate::problem::Problem;

/// What becomes of the profile: members that are not there stay, `null` empties.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ProfileUpdate")]
struct ProfileUpdateBody {
    /// What the owner calls herself, at most 200 characters.
    #[serde(default)]
    full_name: MaybeUndefined<String>,
    /// The language that she prefers, a BCP 47 tag.
    #[serde(default)]
    locale: MaybeUndefined<String>,
}

/// The address to move to.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "EmailChange")]
struct EmailChangeBody {
    /// The new address.
    new_email: String,
}

/// That a change waits to be confirmed.
#[derive(ApiResponse)]
enum Asked {
    /// A link is on its way to the new address.
    #[oai(status = 202)]
    Asked(Json<MessageBody>),
}

// SECURITY: not `Debug`, so that no log line can ever show a password.
/// The password to leave and the one to take.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "PasswordChange")]
struct PasswordChangeBody {
    /// The one that is in force.
    current_password: String,
    /// The one to take: at least 8 characters that are hard to guess, at most 1024 bytes.
    new_password: String,
}

/// The routes of the caller's own account.
#[derive(Debug)]
pub struct MeRoutes {
    auth: AuthKit,
}

impl MeRoutes {
    pub(super) const fn new(auth: AuthKit) -> Self {
        Self { auth }
    }
}

#[OpenApi(prefix_path = "/api/v1/users", tag = "Tag::Account")]
impl MeRoutes {
    /// Your profile
    ///
    /// With your roles, and what they permit right now.
    #[oai(path = "/me", method = "get", operation_id = "getProfile")]
    async fn profile(&self, Caller(caller): Caller) -> poem::Result<Json<ProfileBody>> {
        let user = self.auth.accounts().profile(&caller).await.map_err(refused)?;
        Ok(Json(ProfileBody::new(&user, &self.auth.roles().access_of(&user))))
    }

    /// Change your profile
    ///
    /// Members that are not there stay as they are, `null` empties.
    #[oai(path = "/me", method = "patch", operation_id = "updateProfile")]
    async fn update_profile(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<ProfileUpdateBody>,
    ) -> poem::Result<Json<ProfileBody>> {
        let mut fields = Fields::default();
        let full_name = patch(body.full_name, |text| fields.full_name("full_name", Some(text)));
        let locale = patch(body.locale, |text| fields.locale("locale", Some(text)));
        fields.complete(())?;
        let update = ProfileUpdate { full_name, locale };
        let user = self.auth.accounts().update_profile(&caller, update, &context).await.map_err(refused)?;
        Ok(Json(ProfileBody::new(&user, &self.auth.roles().access_of(&user))))
    }

    /// Close your account
    ///
    /// For good: every session ends, the password and what is personal is removed, the address is free again. It demands that
    /// you proved who you are within the last minutes (`/api/v1/auth/reauthenticate`).
    #[oai(path = "/me", method = "delete", operation_id = "closeAccount")]
    async fn close(&self, Caller(caller): Caller, context: Data<&RequestContext>) -> poem::Result<Gone> {
        self.auth.accounts().close(&caller, &context).await.map_err(refused)?;
        Ok(Gone::Gone)
    }

    /// Everything that is held about you
    ///
    /// As one JSON document: the account with its roles, the sessions that are alive, and what the audit log tells of you. No password
    /// and no token is in it. That you asked for it is in the audit log.
    #[oai(path = "/me/export", method = "get", operation_id = "exportAccount")]
    async fn export(&self, Caller(caller): Caller, context: Data<&RequestContext>) -> poem::Result<Exported> {
        let export = self.auth.accounts().export(&caller, &context).await.map_err(refused)?;
        let name = format!("attachment; filename=\"authkit-export-{}.json\"", export.user.id);
        Ok(Exported::Exported(Json(ExportBody::new(&export, caller.session_id())), name))
    }

    /// Change your password
    ///
    /// Every other session of yours ends, and every device that was known before is a stranger at its next login; this one is not.
    #[oai(path = "/me/password", method = "post", operation_id = "changePassword")]
    async fn change_password(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        device: DeviceCookie,
        StrictJson(body): StrictJson<PasswordChangeBody>,
    ) -> poem::Result<Response<Json<PasswordChangedBody>>> {
        let mut fields = Fields::default();
        let current = fields.password("current_password", &body.current_password);
        let new = fields.password("new_password", &body.new_password);
        let (current, new) = fields.complete((current, new))?;
        let change = PasswordChange { current, new };
        let changed = self.auth.accounts().change_password(&caller, change, &context).await.map_err(refused)?;
        let cookie = device.cookies.set(&changed.device_token);
        Ok(with_cookie(Json(PasswordChangedBody::new(&changed)), Some(cookie)))
    }

    /// Change your address
    ///
    /// A link is mailed to the new address, good once, for 24 hours: the account moves when it is opened (`/api/v1/auth/email/verify`).
    /// The old address is told now, and again when the account has moved, then with a link that takes it back within seven days. Another
    /// request takes the place of this one, and a change of the password voids it. It demands that you proved who you are within the
    /// last minutes (`/api/v1/auth/reauthenticate`). The answer says nothing about whether somebody else has the address.
    #[oai(path = "/me/email", method = "post", operation_id = "changeEmail")]
    async fn change_email(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<EmailChangeBody>,
    ) -> poem::Result<Asked> {
        let mut fields = Fields::default();
        let email = fields.email("new_email", &body.new_email);
        let email = fields.complete(email)?;
        self.auth.accounts().request_email_change(&caller, &email, &context).await.map_err(refused)?;
        let message = "A link is on its way to the new address; the account moves when it is opened".to_owned();
        Ok(Asked::Asked(Json(MessageBody { message })))
    }

    /// Your sessions
    ///
    /// Those that are alive, the youngest first.
    #[oai(path = "/me/sessions", method = "get", operation_id = "listSessions")]
    async fn sessions(
        &self,
        Caller(caller): Caller,
        /// How many at most: 1 to 200, by default 50.
        limit: Query<Option<String>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> poem::Result<Json<SessionPageBody>> {
        let page = page(limit.0.as_deref(), cursor.0.as_deref())?;
        let sessions = self.auth.sessions().list(&caller, page).await.map_err(refused)?;
        Ok(Json(SessionPageBody::new(&sessions, caller.session_id())))
    }

    /// What happened to your account
    ///
    /// Logins that succeeded and failed, changes, sessions that ended; the youngest first. What an administrator did is told, and not
    /// which one.
    #[oai(path = "/me/security-events", method = "get", operation_id = "listSecurityEvents")]
    async fn security_events(
        &self,
        Caller(caller): Caller,
        /// How many at most: 1 to 200, by default 50.
        limit: Query<Option<String>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> poem::Result<Json<SecurityEventPageBody>> {
        let page = page(limit.0.as_deref(), cursor.0.as_deref())?;
        let events = self.auth.audit().security_events(&caller, page).await.map_err(refused)?;
        Ok(Json(SecurityEventPageBody::from(events)))
    }

    /// End one of your sessions
    #[oai(path = "/me/sessions/:id", method = "delete", operation_id = "revokeSession")]
    async fn revoke(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the session.
        id: Path<String>,
    ) -> poem::Result<Gone> {
        // What is not an id names no session: the same answer as for somebody else's.
        let id: SessionId = id.0.parse().map_err(|_| no_such_session())?;
        self.auth.sessions().revoke(&caller, id, &context).await.map_err(refused)?;
        Ok(Gone::Gone)
    }
}

/// What becomes of a field.
pub(super) fn patch<T>(member: MaybeUndefined<String>, parse: impl FnOnce(&str) -> Option<T>) -> Patch<T> {
    match member {
        MaybeUndefined::Undefined => Patch::Keep,
        MaybeUndefined::Null => Patch::Clear,
        // What did not parse is among the refused fields, and then nothing of this is used.
        MaybeUndefined::Value(text) => parse(&text).map_or(Patch::Keep, Patch::Set),
    }
}

/// A parameter that is not valid.
pub(super) fn invalid_parameter(name: &'static str, message: impl Into<String>) -> Problem {
    let title = "A parameter of the request is not valid";
    Problem::new(StatusCode::BAD_REQUEST, "request.invalid_parameter", title).field(name, "invalid_parameter", message.into())
}

/// How many items of a list are asked for.
pub(super) fn limit(text: Option<&str>) -> Result<PageLimit, Problem> {
    let Some(text) = text else { return Ok(PageLimit::default()) };
    let limit = text.parse().ok().and_then(PageLimit::new);
    limit.ok_or_else(|| invalid_parameter("limit", "must be a whole number from 1 to 200"))
}

/// The page that a list is asked for.
pub(super) fn page(limit_text: Option<&str>, cursor: Option<&str>) -> Result<PageRequest, Problem> {
    let limit = limit(limit_text)?;
    let cursor =
        cursor.map(|text| text.parse::<Cursor>().map_err(|error| invalid_parameter("cursor", error.to_string()))).transpose()?;
    Ok(PageRequest { limit, cursor })
}
