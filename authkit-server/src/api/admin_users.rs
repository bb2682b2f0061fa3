//! The accounts of others: `/api/v1/admin/users`.

use authkit_core::flows::{AccountUpdate, Impersonation, NewAccount};
use authkit_core::model::{RequestContext, User, UserCursor, UserFilter, UserPage, UserPageRequest, UserQuery, UserStatus};
use authkit_core::{AuthKit, ImpersonationReason, SessionId, UserId};
use poem::web::Data;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;

use super::caller::Caller;
use super::field::Fields;
use super::me::{invalid_parameter, limit, page, patch};
use super::precondition::{entity_tag, if_match};
use super::refusal::{no_such_account, no_such_session_of, refused};
use super::reply::{Gone, MessageBody, RevokedBody, SessionPageBody, UserBody};
use super::tag::Tag;
use crate::http::StrictJson;
use crate::problem::Problem;

/// An account to make. It gets no password: its owner chooses one.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "NewAccount")]
struct NewAccountBody {
    /// The address.
    email: String,
    /// What the owner calls herself, at most 200 characters.
    full_name: Option<String>,
    /// The language that she prefers, a BCP 47 tag.
    locale: Option<String>,
    /// Whether she is mailed an invitation to choose a password. Default `true`.
    invite: Option<bool>,
}

/// What becomes of an account: members that are not there stay, `null` empties.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "AccountUpdate")]
struct AccountUpdateBody {
    /// The new address. It is not verified, and every session of the account ends.
    email: Option<String>,
    /// What the owner calls herself, at most 200 characters.
    #[serde(default)]
    full_name: MaybeUndefined<String>,
    /// The language that she prefers, a BCP 47 tag.
    #[serde(default)]
    locale: MaybeUndefined<String>,
}

/// Why somebody acts as somebody else.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ImpersonationRequest")]
struct ImpersonationBody {
    /// Why, for the audit log; at most 200 characters.
    reason: String,
}

// SECURITY: not `Debug`, so that no log line can ever show a token.
/// Somebody acts as somebody else now.
#[derive(Object)]
#[oai(rename = "Impersonation")]
struct ImpersonationReply {
    /// Goes with every request; it names both (RFC 8693 §4.1). Nothing renews it.
    access_token: String,
    /// Always `Bearer`.
    token_type: String,
    /// How long it is valid, in seconds.
    expires_in: u64,
    /// The session, which is one of the account's and can be ended like any.
    #[oai(validator(max_length = 36))]
    session_id: String,
    /// As whom.
    user: UserBody,
}

impl From<Impersonation> for ImpersonationReply {
    fn from(begun: Impersonation) -> Self {
        Self {
            access_token: begun.access_token.expose().to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: begun.expires_in.as_secs(),
            session_id: begun.session_id.to_string(),
            user: UserBody::from(&begun.user),
        }
    }
}

/// A page of accounts.
#[derive(Debug, Object)]
#[oai(rename = "UserPage")]
struct UserPageBody {
    /// The accounts. A page of a search may hold fewer than were asked for, and none, while there are more.
    items: Vec<UserBody>,
    /// Pass it as `cursor` for the next page; `null` at the end of the list.
    next_cursor: Option<String>,
}

impl From<UserPage> for UserPageBody {
    fn from(page: UserPage) -> Self {
        Self { items: page.items.iter().map(UserBody::from).collect(), next_cursor: page.next.map(|cursor| cursor.to_string()) }
    }
}

/// That a mail is on its way.
#[derive(ApiResponse)]
enum Mailed {
    /// It is on its way.
    #[oai(status = 202)]
    Mailed(Json<MessageBody>),
}

fn mailed() -> Mailed {
    Mailed::Mailed(Json(MessageBody { message: "A mail is on its way".to_owned() }))
}

/// An account, and the state in which it was read.
#[derive(ApiResponse)]
enum Account {
    /// The account.
    #[oai(status = 200)]
    Read(
        Json<UserBody>,
        /// Names the state of the account, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self::Read(Json(UserBody::from(&user)), entity_tag(&user))
    }
}

/// An account was made.
#[derive(ApiResponse)]
enum Made {
    /// The account was made.
    #[oai(status = 201)]
    Made(
        Json<UserBody>,
        /// Names the state of the account, for `If-Match`.
        #[oai(header = "ETag")]
        String,
        /// Where the account is.
        #[oai(header = "Location")]
        String,
    ),
}

/// The routes of the accounts of others.
#[derive(Debug)]
pub struct AdminUserRoutes {
    auth: AuthKit,
}

impl AdminUserRoutes {
    pub(super) const fn new(auth: AuthKit) -> Self {
        Self { auth }
    }
}

#[OpenApi(prefix_path = "/api/v1/admin/users", tag = "Tag::Administration")]
impl AdminUserRoutes {
    /// List and search accounts
    ///
    /// Needs `users:read`. Without `query` the youngest first. With it, accounts for which every word of it begins their address, a word
    /// of the part before the `@`, a word of the name, or, written with the `@`, the domain; or the one account of that `id`. Case and
    /// accents make no difference, and no character is a wildcard.
    #[oai(path = "/", method = "get", operation_id = "adminListUsers")]
    async fn list(
        &self,
        Caller(caller): Caller,
        /// What is searched for, at most 200 characters and 8 words.
        query: Query<Option<String>>,
        /// Only accounts that were given this role, in any scope.
        role: Query<Option<String>>,
        /// Only accounts that are `active` or `suspended`.
        status: Query<Option<String>>,
        /// How many at most: 1 to 200, by default 50.
        limit: Query<Option<String>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> poem::Result<Json<UserPageBody>> {
        let filter = filter(query.0.as_deref(), role.0.as_deref(), status.0.as_deref())?;
        let page = user_page(limit.0.as_deref(), cursor.0.as_deref())?;
        Ok(Json(self.auth.administration(&caller).list(&filter, &page).await.map_err(refused)?.into()))
    }

    /// Make an account
    ///
    /// Needs `users:write`. The account has no password: its owner is mailed a link by which she chooses one, unless `invite` is
    /// `false`. The link is good once, for three days.
    #[oai(path = "/", method = "post", operation_id = "adminCreateUser")]
    async fn create(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<NewAccountBody>,
    ) -> poem::Result<Made> {
        let mut fields = Fields::default();
        let email = fields.email("email", &body.email);
        let full_name = fields.full_name("full_name", body.full_name.as_deref());
        let locale = fields.locale("locale", body.locale.as_deref());
        let account = NewAccount { email: fields.complete(email)?, full_name, locale };
        let administration = self.auth.administration(&caller);
        let made = if body.invite.unwrap_or(true) {
            administration.create_and_invite(account, &context).await
        } else {
            administration.create(account, &context).await
        };
        let user = made.map_err(refused)?;
        Ok(Made::Made(Json(UserBody::from(&user)), entity_tag(&user), format!("/api/v1/admin/users/{}", user.id)))
    }

    /// Read an account
    ///
    /// Needs `users:read`.
    #[oai(path = "/:id", method = "get", operation_id = "adminGetUser")]
    async fn show(
        &self,
        Caller(caller): Caller,
        /// The `id` of the account.
        id: Path<String>,
    ) -> poem::Result<Account> {
        Ok(self.auth.administration(&caller).show(user_id(&id)?).await.map_err(refused)?.into())
    }

    /// Change an account
    ///
    /// Needs `users:write`, and every permission that the account holds. Members that are not there stay as they are, `null` empties. A
    /// new address is not verified, and every session of the account ends. Your own account is changed at `/api/v1/users/me`.
    #[oai(path = "/:id", method = "patch", operation_id = "adminUpdateUser")]
    async fn update(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the account.
        id: Path<String>,
        /// The `ETag` of the account as you have read it: 412 when it was changed since.
        #[oai(name = "If-Match")]
        expected: Header<Option<String>>,
        StrictJson(body): StrictJson<AccountUpdateBody>,
    ) -> poem::Result<Account> {
        let (id, expected) = (user_id(&id)?, if_match(expected.0.as_deref())?);
        let mut fields = Fields::default();
        let email = body.email.as_deref().and_then(|text| fields.email("email", text));
        let full_name = patch(body.full_name, |text| fields.full_name("full_name", Some(text)));
        let locale = patch(body.locale, |text| fields.locale("locale", Some(text)));
        fields.complete(())?;
        let update = AccountUpdate { email, full_name, locale };
        Ok(self.auth.administration(&caller).update(id, &expected, &update, &context).await.map_err(refused)?.into())
    }

    /// Close an account
    ///
    /// Needs `users:write`, and every permission that the account holds. For good, as its owner could: every session ends, the password
    /// and what is personal is removed, the address is free again. The last holder of every permission stays.
    #[oai(path = "/:id", method = "delete", operation_id = "adminCloseUser")]
    async fn close(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the account.
        id: Path<String>,
        /// The `ETag` of the account as you have read it: 412 when it was changed since.
        #[oai(name = "If-Match")]
        expected: Header<Option<String>>,
    ) -> poem::Result<Gone> {
        let (id, expected) = (user_id(&id)?, if_match(expected.0.as_deref())?);
        self.auth.administration(&caller).close(id, &expected, &context).await.map_err(refused)?;
        Ok(Gone::Gone)
    }

    /// Turn off every second factor of an account
    ///
    /// Needs `users:write`, and every permission that the account holds: for an owner who has lost them all. Every session of the account
    /// ends, its passkeys and trusted devices are forgotten, and its owner is told by mail. Where there was none, nothing changes.
    #[oai(path = "/:id/mfa", method = "delete", operation_id = "adminResetMfa")]
    async fn reset_mfa(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the account.
        id: Path<String>,
    ) -> poem::Result<Gone> {
        self.auth.administration(&caller).reset_mfa(user_id(&id)?, &context).await.map_err(refused)?;
        Ok(Gone::Gone)
    }

    /// Suspend an account
    ///
    /// Needs `users:write`, and every permission that the account holds. Every session of it ends, everywhere within a second, and
    /// nothing of it works until it is restored. The last holder of every permission cannot be suspended.
    #[oai(path = "/:id/suspend", method = "post", operation_id = "adminSuspendUser")]
    async fn suspend(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the account.
        id: Path<String>,
        /// The `ETag` of the account as you have read it: 412 when it was changed since.
        #[oai(name = "If-Match")]
        expected: Header<Option<String>>,
    ) -> poem::Result<Account> {
        let (id, expected) = (user_id(&id)?, if_match(expected.0.as_deref())?);
        Ok(self.auth.administration(&caller).suspend(id, &expected, &context).await.map_err(refused)?.into())
    }

    /// Restore a suspended account
    ///
    /// Needs `users:write`, and every permission that the account holds. Its owner has to log in again.
    #[oai(path = "/:id/restore", method = "post", operation_id = "adminRestoreUser")]
    async fn restore(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the account.
        id: Path<String>,
        /// The `ETag` of the account as you have read it: 412 when it was changed since.
        #[oai(name = "If-Match")]
        expected: Header<Option<String>>,
    ) -> poem::Result<Account> {
        let (id, expected) = (user_id(&id)?, if_match(expected.0.as_deref())?);
        Ok(self.auth.administration(&caller).restore(id, &expected, &context).await.map_err(refused)?.into())
    }

    /// Invite the owner of an account again
    ///
    /// Needs `users:write`, and every permission that the account holds. She is mailed another link by which she chooses her first
    /// password; those before are void. Only while the account has no password.
    #[oai(path = "/:id/invitation", method = "post", operation_id = "adminInviteUser")]
    async fn invite(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the account.
        id: Path<String>,
    ) -> poem::Result<Mailed> {
        self.auth.administration(&caller).invite(user_id(&id)?, &context).await.map_err(refused)?;
        Ok(mailed())
    }

    /// Have a password set anew
    ///
    /// Needs `users:write`, and every permission that the account holds. Its owner is mailed a link by which she sets a new password,
    /// good once, for 24 hours. Until she has, everything stays as it is: nobody but her learns or chooses a password.
    #[oai(path = "/:id/password-reset", method = "post", operation_id = "adminSendPasswordReset")]
    async fn send_password_reset(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the account.
        id: Path<String>,
    ) -> poem::Result<Mailed> {
        self.auth.administration(&caller).send_password_reset(user_id(&id)?, &context).await.map_err(refused)?;
        Ok(mailed())
    }

    /// Unlock an account
    ///
    /// Needs `users:write`, and every permission that the account holds. Forgets the wrong passwords that were tried at it from unknown
    /// devices, so that its owner does not have to wait, or is let in again after too many of them. Nothing happens where there are none.
    #[oai(path = "/:id/unlock", method = "post", operation_id = "adminUnlockUser")]
    async fn unlock(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the account.
        id: Path<String>,
    ) -> poem::Result<Account> {
        Ok(self.auth.administration(&caller).unlock(user_id(&id)?, &context).await.map_err(refused)?.into())
    }

    /// The sessions of an account
    ///
    /// Needs `sessions:read`, and every permission that the account holds. Those that are alive, the youngest first.
    #[oai(path = "/:id/sessions", method = "get", operation_id = "adminListSessions")]
    async fn sessions(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the account.
        id: Path<String>,
        /// How many at most: 1 to 200, by default 50.
        limit: Query<Option<String>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> poem::Result<Json<SessionPageBody>> {
        let (id, page) = (user_id(&id)?, page(limit.0.as_deref(), cursor.0.as_deref())?);
        let sessions = self.auth.administration(&caller).sessions(id, page, &context).await.map_err(refused)?;
        Ok(Json(SessionPageBody::new(&sessions, caller.session_id())))
    }

    /// End every session of an account
    ///
    /// Needs `sessions:write`, and every permission that the account holds.
    #[oai(path = "/:id/sessions", method = "delete", operation_id = "adminRevokeSessions")]
    async fn revoke_sessions(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the account.
        id: Path<String>,
    ) -> poem::Result<Json<RevokedBody>> {
        let id = user_id(&id)?;
        let revoked = self.auth.administration(&caller).revoke_sessions(id, &context).await.map_err(refused)?;
        Ok(Json(RevokedBody { message: "The sessions of the account were ended".to_owned(), revoked: revoked as u64 }))
    }

    /// End one session of an account
    ///
    /// Needs `sessions:write`, and every permission that the account holds.
    #[oai(path = "/:id/sessions/:session_id", method = "delete", operation_id = "adminRevokeSession")]
    async fn revoke_session(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the account.
        id: Path<String>,
        /// The `id` of the session.
        session_id: Path<String>,
    ) -> poem::Result<Gone> {
        let id = user_id(&id)?;
        let session_id: SessionId = session_id.0.parse().map_err(|_| no_such_session_of())?;
        self.auth.administration(&caller).revoke_session(id, session_id, &context).await.map_err(refused)?;
        Ok(Gone::Gone)
    }

    /// Act as somebody else
    ///
    /// Needs `users:impersonate`, every permission that the account holds, a proof within the last minutes of who you are
    /// (`/api/v1/auth/reauthenticate`), and a reason. What you do is in the audit log under both names. You can neither change what the
    /// account proves itself by, nor close or export it, nor act as an administrator.
    #[oai(path = "/:id/impersonate", method = "post", operation_id = "adminImpersonate")]
    async fn impersonate(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the account.
        id: Path<String>,
        StrictJson(body): StrictJson<ImpersonationBody>,
    ) -> poem::Result<Json<ImpersonationReply>> {
        let id = user_id(&id)?;
        let mut fields = Fields::default();
        let reason: Option<ImpersonationReason> = fields.reason("reason", &body.reason);
        let reason = fields.complete(reason)?;
        let begun = self.auth.accounts().impersonate(&caller, id, &reason, &context).await.map_err(refused)?;
        Ok(Json(begun.into()))
    }
}

/// What is not an id names no account: the same answer as for one that nobody has.
pub(super) fn user_id(text: &Path<String>) -> Result<UserId, Problem> {
    text.0.parse().map_err(|_| no_such_account())
}

fn filter(query: Option<&str>, role: Option<&str>, status: Option<&str>) -> Result<UserFilter, Problem> {
    let text = query.filter(|text| !text.trim().is_empty());
    let query = text.map(UserQuery::parse).transpose().map_err(|error| invalid_parameter("query", error.to_string()))?;
    let status = status
        .map(|name| UserStatus::from_name(name).ok_or_else(|| invalid_parameter("status", "must be active or suspended")))
        .transpose()?;
    let role = role.map(|name| name.parse().map_err(|_| invalid_parameter("role", "must be the name of a role"))).transpose()?;
    let mut filter = UserFilter::default();
    (filter.query, filter.status, filter.role) = (query, status, role);
    Ok(filter)
}

fn user_page(limit_text: Option<&str>, cursor: Option<&str>) -> Result<UserPageRequest, Problem> {
    let cursor = cursor.map(|text| text.parse::<UserCursor>().map_err(|error| invalid_parameter("cursor", error.to_string())));
    Ok(UserPageRequest { limit: limit(limit_text)?, cursor: cursor.transpose()? })
}
