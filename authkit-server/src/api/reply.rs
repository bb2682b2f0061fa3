//! What the routes answer: the members of each JSON reply.

use crate::http::DeviceCookies;
use authkit_core::Page;
use authkit_core::flows::{LoggedIn, PasswordChanged, TokenPair};
use authkit_core::model::{Client, Session, User};
use poem::http::header::SET_COOKIE;
use poem_openapi::payload::{Json, Response};
use poem_openapi::{ApiResponse, Object};

/// An account, as its owner sees it.
#[derive(Debug, Object)]
#[oai(rename = "User")]
pub(super) struct UserBody {
    /// Names the account, for ever.
    #[oai(validator(max_length = 36))]
    id: String,
    /// The address, as it was typed.
    email: String,
    /// Whether the owner proved that she reads mail at that address.
    email_verified: bool,
    /// What she calls herself.
    full_name: Option<String>,
    /// The language that she prefers, a BCP 47 tag.
    locale: Option<String>,
    /// `active` or `suspended`.
    status: String,
    /// When the account was made (RFC 3339).
    created_at: String,
    /// When it was last changed (RFC 3339).
    updated_at: String,
}

impl From<&User> for UserBody {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email.to_string(),
            email_verified: user.email_verified_at.is_some(),
            full_name: user.full_name.as_ref().map(ToString::to_string),
            locale: user.locale.as_ref().map(ToString::to_string),
            status: user.status.as_str().to_owned(),
            created_at: user.created_at.to_string(),
            updated_at: user.updated_at.to_string(),
        }
    }
}

// SECURITY: not `Debug`, so that no log line can ever show a token.
/// A pair of tokens, and whose they are.
#[derive(Object)]
#[oai(rename = "Tokens")]
pub(super) struct TokensBody {
    /// Goes with every request: `Authorization: Bearer …` (a JWT, RFC 9068).
    access_token: String,
    /// Buys the next pair at `/api/v1/auth/refresh`, once.
    refresh_token: String,
    /// Always `Bearer` (RFC 6750).
    token_type: String,
    /// How long the access token is valid, in seconds.
    expires_in: u64,
    /// Whose tokens they are.
    user: UserBody,
    /// After a login or a registration: what makes the device known at its next login, for clients that keep no cookies. Keep it
    /// longer than the others, and show it as `device_token`.
    #[oai(skip_serializing_if_is_none)]
    device_token: Option<String>,
    /// After a second factor with `trust_device`: what lets the device log in without one for a while, for clients that keep no
    /// cookies. Show it as `trust_token`.
    #[oai(skip_serializing_if_is_none)]
    trust_token: Option<String>,
}

impl From<LoggedIn> for TokensBody {
    fn from(logged_in: LoggedIn) -> Self {
        let TokenPair { access_token, refresh_token, expires_in } = &logged_in.tokens;
        Self {
            access_token: access_token.expose().to_owned(),
            refresh_token: refresh_token.expose().to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: expires_in.as_secs(),
            user: UserBody::from(&logged_in.user),
            device_token: logged_in.device_token.as_ref().map(|token| token.expose().to_owned()),
            trust_token: logged_in.trust_token.as_ref().map(|token| token.expose().to_owned()),
        }
    }
}

/// The reply to a login, and the cookies of the device.
pub(super) fn logged_in(logged_in: LoggedIn, cookies: DeviceCookies) -> Response<Json<TokensBody>> {
    let device = logged_in.device_token.as_ref().map(|token| cookies.set(token));
    let trust = logged_in.trust_token.as_ref().map(|token| cookies.set_trust(token));
    let reply = with_cookie(Json(logged_in.into()), device);
    match trust {
        Some(cookie) => reply.header(SET_COOKIE, cookie),
        None => reply,
    }
}

/// A reply that sets a cookie, where there is one.
pub(super) fn with_cookie<T>(reply: T, cookie: Option<String>) -> Response<T> {
    match cookie {
        Some(cookie) => Response::new(reply).header(SET_COOKIE, cookie),
        None => Response::new(reply),
    }
}

// SECURITY: not `Debug`, so that no log line can ever show a token.
/// A fresh access token for the same session.
#[derive(Object)]
#[oai(rename = "AccessToken")]
pub(super) struct AccessTokenBody {
    /// Goes with every request: `Authorization: Bearer …`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// How long it is valid, in seconds.
    pub expires_in: u64,
}

/// That something was done.
#[derive(Debug, Object)]
#[oai(rename = "Message")]
pub(super) struct MessageBody {
    /// What was done, in English.
    pub message: String,
}

/// That sessions were ended.
#[derive(Debug, Object)]
#[oai(rename = "Revoked")]
pub(super) struct RevokedBody {
    /// What was done, in English.
    pub message: String,
    /// How many sessions ended.
    pub revoked: u64,
}

/// A session: one login on one device.
#[derive(Debug, Object)]
#[oai(rename = "Session")]
pub(super) struct SessionBody {
    /// Names the session.
    id: String,
    /// Whether it is the one that asks.
    current: bool,
    /// Whether somebody acts in it as its user: an administrator, for a while.
    impersonated: bool,
    /// What its user calls the device.
    device_name: Option<String>,
    /// When it began (RFC 3339).
    created_at: String,
    /// When it was last refreshed (RFC 3339).
    last_used_at: String,
    /// When it ends in any case (RFC 3339).
    expires_at: String,
    /// The address that it was last refreshed from.
    ip: Option<String>,
    /// What the client said it is when it last refreshed.
    user_agent: Option<String>,
    /// The address that it began from.
    created_ip: Option<String>,
}

impl SessionBody {
    pub(crate) fn new(session: &Session, current: bool) -> Self {
        let ip = |client: &Client| client.ip.map(|ip| ip.to_string());
        Self {
            id: session.id.to_string(),
            current,
            impersonated: session.impersonator.is_some(),
            device_name: session.device_name.as_ref().map(ToString::to_string),
            created_at: session.created_at.to_string(),
            last_used_at: session.refreshed_at.to_string(),
            expires_at: session.expires_at.to_string(),
            ip: ip(&session.last_used_by),
            user_agent: session.last_used_by.user_agent.as_ref().map(ToString::to_string),
            created_ip: ip(&session.created_by),
        }
    }
}

/// A page of sessions, the youngest first.
#[derive(Debug, Object)]
#[oai(rename = "SessionPage")]
pub(super) struct SessionPageBody {
    /// The sessions.
    items: Vec<SessionBody>,
    /// Pass it as `cursor` for the next page; `null` at the end of the list.
    next_cursor: Option<String>,
}

impl SessionPageBody {
    pub(crate) fn new(page: &Page<Session>, current: authkit_core::SessionId) -> Self {
        Self {
            items: page.items.iter().map(|session| SessionBody::new(session, session.id == current)).collect(),
            next_cursor: page.next.map(|cursor| cursor.to_string()),
        }
    }
}

// SECURITY: not `Debug`, so that no log line can ever show a token.
/// The password was changed.
#[derive(Object)]
#[oai(rename = "PasswordChanged")]
pub(super) struct PasswordChangedBody {
    /// What was done, in words.
    message: String,
    /// How many other sessions ended.
    revoked: u64,
    /// What makes the device known at its next login, for clients that keep no cookies.
    device_token: String,
}

impl PasswordChangedBody {
    pub(super) fn new(changed: &PasswordChanged) -> Self {
        Self {
            message: "Password changed; your other sessions were logged out".to_owned(),
            revoked: changed.sessions_ended as u64,
            device_token: changed.device_token.expose().to_owned(),
        }
    }
}

/// An account was made, or is going to be.
#[derive(ApiResponse)]
pub(super) enum Created {
    /// The account was made and its owner is logged in.
    #[oai(status = 201)]
    Created(Json<Box<TokensBody>>),
    /// Where the service keeps quiet about who has an account: a mail says what became of it.
    #[oai(status = 202)]
    Accepted(Json<MessageBody>),
}

/// Something is gone.
#[derive(Debug, ApiResponse)]
pub(super) enum Gone {
    /// It is gone.
    #[oai(status = 204)]
    Gone,
}
