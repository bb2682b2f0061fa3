//! Register, log in, refresh, log out: `/api/v1/auth`.

use authkit_core::flows::{Login, Refreshed, Registration};
use authkit_core::model::RequestContext;
use authkit_core::{AuthKit, DeviceToken, RefreshToken, TrustToken};
use poem::web::Data;
use poem_openapi::payload::{Json, Response};
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::caller::Caller;
use super::field::Fields;
use super::mfa::FactorName;
use super::refusal::{refused, reused};
use super::reply::with_cookie;
use super::reply::{AccessTokenBody, Created, MessageBody, RevokedBody, TokensBody};
use super::tag::Tag;
use crate::http::{DeviceCookie, StrictJson};

// SECURITY: none of these bodies is `Debug`, so that no log line can ever show a password or a token.

/// What a new account is made of.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "Register")]
struct RegisterBody {
    /// Where mail goes, and what identifies the account at login.
    #[oai(validator(max_length = 254))]
    email: String,
    /// At least 8 characters that are hard to guess, at most 1024 bytes.
    password: String,
    /// What the owner calls herself, at most 200 characters.
    full_name: Option<String>,
    /// The language that she prefers, a BCP 47 tag.
    locale: Option<String>,
    /// What she calls the device, at most 100 characters.
    device_name: Option<String>,
}

/// What somebody presents to log in.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "Login")]
struct LoginBody {
    /// The address of the account, in any spelling.
    email: String,
    /// The password.
    password: String,
    /// What she calls the device, at most 100 characters.
    device_name: Option<String>,
    /// The `device_token` of the last login on this device, for clients that keep no cookies: strangers who guess at the account
    /// do not hold up a device that is known. What is no token of the account is ignored.
    device_token: Option<String>,
    /// The `trust_token` of a device that its user trusts, for clients that keep no cookies: no second factor is asked for.
    trust_token: Option<String>,
}

/// A refresh token.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "Refresh")]
struct RefreshBody {
    /// The refresh token of the last login, registration or refresh.
    refresh_token: String,
}

/// A proof of identity.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "Reauthenticate")]
struct ReauthenticateBody {
    /// The password of the account, where no second factor is on.
    password: Option<String>,
    /// What the code is of, where it is a second factor.
    factor: Option<FactorName>,
    /// The code.
    code: Option<String>,
}

/// The routes of authentication.
#[derive(Debug)]
pub struct AuthRoutes {
    auth: AuthKit,
}

impl AuthRoutes {
    pub(super) const fn new(auth: AuthKit) -> Self {
        Self { auth }
    }
}

#[OpenApi(prefix_path = "/api/v1/auth", tag = "Tag::Authentication")]
impl AuthRoutes {
    /// Register
    ///
    /// Makes an account and logs its owner in. `account.email_taken` when the address has an account,
    /// `password.too_weak` with the reasons when the password can be guessed.
    ///
    /// Where `AUTHKIT_REVEAL_EXISTING` is off it is 202 for every address, with the same body and in the same time; a mail says the
    /// rest, and the password works once its link was opened. Where `AUTHKIT_REGISTRATION` is closed: `account.registration_closed`.
    #[oai(path = "/register", method = "post", operation_id = "register")]
    async fn register(
        &self,
        context: Data<&RequestContext>,
        device: DeviceCookie,
        StrictJson(body): StrictJson<RegisterBody>,
    ) -> poem::Result<Response<Created>> {
        let mut fields = Fields::default();
        let email = fields.email("email", &body.email);
        let password = fields.password("password", &body.password);
        let full_name = fields.full_name("full_name", body.full_name.as_deref());
        let locale = fields.locale("locale", body.locale.as_deref());
        let device_name = fields.device_name("device_name", body.device_name.as_deref());
        let (email, password) = fields.complete((email, password))?;
        let registration = Registration { email, password, full_name, locale, device_name };
        if !self.auth.config().registration.reveal_existing {
            self.auth.accounts().request_registration(registration, &context).await.map_err(refused)?;
            let message = "A mail to this address says how to go on".to_owned();
            return Ok(with_cookie(Created::Accepted(Json(MessageBody { message })), None));
        }
        let logged_in = self.auth.accounts().register(registration, &context).await.map_err(refused)?;
        let cookie = logged_in.device_token.as_ref().map(|token| device.cookies.set(token));
        Ok(with_cookie(Created::Created(Json(Box::new(logged_in.into()))), cookie))
    }

    /// Log in
    ///
    /// `auth.invalid_credentials` whether the address or the password is wrong; `account.suspended` only after the right password.
    /// `auth.mfa_required` when a second factor is on: the login goes on at `/api/v1/auth/mfa/verify` with its `mfa_token`.
    /// `auth.mfa_enrolment_required` when one is demanded of the account and none is on: it goes on at
    /// `/api/v1/auth/mfa/enrolment`.
    /// After five wrong passwords in a row the next one is not evaluated for a while: `rate_limit.exceeded`, for the right one as
    /// well. A device that shows the cookie or the `device_token` of an earlier login is not held up by what strangers try.
    #[oai(path = "/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        context: Data<&RequestContext>,
        device: DeviceCookie,
        StrictJson(body): StrictJson<LoginBody>,
    ) -> poem::Result<Response<Json<TokensBody>>> {
        let mut fields = Fields::default();
        let device_name = fields.device_name("device_name", body.device_name.as_deref());
        let email = fields.email("email", &body.email);
        let password = fields.password("password", &body.password);
        let (email, password) = fields.complete((email, password))?;
        let device_token = body.device_token.map(DeviceToken::new).or(device.token);
        let trust_token = body.trust_token.map(TrustToken::new).or(device.trust);
        let login = Login { email, password, device_name, device_token, trust_token };
        let logged_in = self.auth.sessions().log_in(login, &context).await.map_err(refused)?;
        let cookie = logged_in.device_token.as_ref().map(|token| device.cookies.set(token));
        Ok(with_cookie(Json(logged_in.into()), cookie))
    }

    /// Refresh
    ///
    /// Uses up a refresh token and issues the next pair. The same token again within ten seconds gets the same successor, as
    /// long as that is unused; any other reuse ends the session: `auth.refresh_token_reused`.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(
        &self,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<RefreshBody>,
    ) -> poem::Result<Json<TokensBody>> {
        let token = RefreshToken::new(body.refresh_token);
        match self.auth.sessions().refresh(&token, &context).await.map_err(refused)? {
            Refreshed::Renewed(logged_in) => Ok(Json(logged_in.into())),
            _ => Err(reused().into()),
        }
    }

    /// Log out
    ///
    /// Ends the session of a refresh token, its access tokens included. It succeeds as well when the session has ended already.
    #[oai(path = "/logout", method = "post", operation_id = "logout")]
    async fn logout(
        &self,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<RefreshBody>,
    ) -> poem::Result<Json<MessageBody>> {
        let token = RefreshToken::new(body.refresh_token);
        self.auth.sessions().log_out(&token, &context).await.map_err(refused)?;
        Ok(Json(MessageBody { message: "User logged out successfully".to_owned() }))
    }

    /// Log out everywhere
    ///
    /// Ends every session of the caller, this one included.
    #[oai(path = "/logout-all", method = "post", operation_id = "logoutAll")]
    async fn logout_all(&self, Caller(caller): Caller, context: Data<&RequestContext>) -> poem::Result<Json<RevokedBody>> {
        let revoked = self.auth.sessions().log_out_all(&caller, &context).await.map_err(refused)?;
        Ok(Json(RevokedBody { message: "All sessions were logged out".to_owned(), revoked: revoked as u64 }))
    }

    /// Prove again who you are
    ///
    /// Checks the password again, or a second factor where one is on, and issues an access token with a fresh `auth_time`, for routes that demand recent authentication.
    #[oai(path = "/reauthenticate", method = "post", operation_id = "reauthenticate")]
    async fn reauthenticate(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<ReauthenticateBody>,
    ) -> poem::Result<Json<AccessTokenBody>> {
        let (access_token, expires_in) = match (body.password, body.factor, body.code) {
            (None, Some(factor), Some(code)) => {
                self.auth.mfa().reauthenticate(&caller, &factor.proof(code), &context).await.map_err(refused)?
            }
            (password, None, None) => {
                let mut fields = Fields::default();
                let password = password.as_deref().and_then(|password| fields.password("password", password));
                let password = fields.complete_or(password, "password", "send a password, or factor and code")?;
                self.auth.sessions().reauthenticate(&caller, password, &context).await.map_err(refused)?
            }
            _ => return Err(Fields::refused("factor", "send a password, or factor and code").into()),
        };
        Ok(Json(AccessTokenBody {
            access_token: access_token.expose().to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: expires_in.as_secs(),
        }))
    }
}
