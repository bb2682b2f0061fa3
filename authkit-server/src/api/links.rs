//! Links that are mailed: asked for, and redeemed. `/api/v1/auth/email`, `/password`, `/magic-link`.

use authkit_core::flows::LinkError;
use authkit_core::model::RequestContext;
use authkit_core::{AuthKit, Email, OneTimeTokenText};
use poem::web::Data;
use poem_openapi::payload::{Json, Response};
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;

use super::field::Fields;
use super::refusal::refused;
use super::reply::{MessageBody, TokensBody, UserBody, with_cookie};
use super::tag::Tag;
use crate::http::{BrowserCookie, DeviceCookie, StrictJson};
use crate::problem::Problem;

// SECURITY: none of these bodies is `Debug`, so that no log line can ever show a password or a token.

/// Whose link.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "LinkRequest")]
struct LinkRequestBody {
    /// The address of the account, in any spelling.
    email: String,
}

/// Whose link, and where it may be used.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "MagicLinkRequest")]
struct MagicLinkRequestBody {
    /// The address of the account, in any spelling.
    email: String,
    /// Whether the link is good only in this browser, which is given a cookie for it. Default: if it has that cookie.
    this_browser_only: Option<bool>,
}

/// The token of a link.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "LinkToken")]
struct LinkTokenBody {
    /// What stands behind `token=` in the link.
    token: String,
}

/// The token of a link, and the password to take.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ResetPassword")]
struct ResetPasswordBody {
    /// What stands behind `token=` in the link.
    token: String,
    /// At least 8 characters that are hard to guess, at most 1024 bytes.
    new_password: String,
}

/// The token of a link that logs in.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "MagicLinkLogin")]
struct MagicLinkLoginBody {
    /// What stands behind `token=` in the link.
    token: String,
    /// What she calls the device, at most 100 characters.
    device_name: Option<String>,
}

/// An account.
#[derive(Object)]
#[oai(rename = "VerifiedUser")]
struct VerifiedBody {
    /// The account.
    user: UserBody,
}

impl LinkRequestBody {
    fn email(&self) -> Result<Email, Problem> {
        let mut fields = Fields::default();
        let email = fields.email("email", &self.email);
        fields.complete(email)
    }
}

/// The answer to everybody who asks for a link.
#[derive(ApiResponse)]
enum Accepted {
    /// If there is something to send, it is on its way.
    #[oai(status = 202)]
    Accepted(Json<MessageBody>),
}

fn accepted() -> Accepted {
    Accepted::Accepted(Json(MessageBody { message: "If there is such an account, a mail is on its way".to_owned() }))
}

/// The routes of links.
#[derive(Debug)]
pub struct LinkRoutes {
    auth: AuthKit,
}

impl LinkRoutes {
    pub(super) const fn new(auth: AuthKit) -> Self {
        Self { auth }
    }
}

#[OpenApi(prefix_path = "/api/v1/auth", tag = "Tag::Authentication")]
impl LinkRoutes {
    /// Prove an email address
    ///
    /// Takes the token of the link that was mailed at the registration, after a request for another, or to an address that an account
    /// shall move to, which it then does. It is good once, for 24 hours.
    #[oai(path = "/email/verify", method = "post", operation_id = "verifyEmail")]
    async fn verify_email(
        &self,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<LinkTokenBody>,
    ) -> poem::Result<Json<VerifiedBody>> {
        let (links, token) = (self.auth.links(), OneTimeTokenText::new(body.token));
        let user = match links.verify_email(&token, &context).await {
            // A token is good for one purpose alone; both of these prove an address.
            Err(LinkError::Invalid) => links.confirm_email_change(&token, &context).await,
            outcome => outcome,
        };
        let user = user.map_err(refused)?;
        Ok(Json(VerifiedBody { user: (&user).into() }))
    }

    /// Take a change of the address back
    ///
    /// Takes the token of the link that was mailed to the address that an account has left, within seven days. The account returns
    /// there; its password is gone, every session and every link ends, and a link that sets a new password is mailed there. It works
    /// however often address and password have changed since.
    #[oai(path = "/email/undo", method = "post", operation_id = "undoEmailChange")]
    async fn undo_email_change(
        &self,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<LinkTokenBody>,
    ) -> poem::Result<Json<MessageBody>> {
        let token = OneTimeTokenText::new(body.token);
        self.auth.links().undo_email_change(&token, &context).await.map_err(refused)?;
        let message = "The address is back, every session has ended, and a link that sets a new password is on its way to it";
        Ok(Json(MessageBody { message: message.to_owned() }))
    }

    /// Choose the first password by an invitation
    ///
    /// Takes the token of the link that was mailed when an administrator made the account. It is good once, for three days. Log in
    /// with the password then.
    #[oai(path = "/invitation/accept", method = "post", operation_id = "acceptInvitation")]
    async fn accept_invitation(
        &self,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<ResetPasswordBody>,
    ) -> poem::Result<Json<MessageBody>> {
        let mut fields = Fields::default();
        let password = fields.password("new_password", &body.new_password);
        let password = fields.complete(password)?;
        let token = OneTimeTokenText::new(body.token);
        self.auth.links().accept_invitation(&token, password, &context).await.map_err(refused)?;
        Ok(Json(MessageBody { message: "The password was set: log in with it".to_owned() }))
    }

    /// Ask for another link that proves an email address
    ///
    /// 202 whether there is such an account or not, and in the same time.
    #[oai(path = "/email/resend", method = "post", operation_id = "resendVerification")]
    async fn resend(
        &self,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<LinkRequestBody>,
    ) -> poem::Result<Accepted> {
        let email = body.email()?;
        self.auth.links().request_verification(&email, &context).await.map_err(refused)?;
        Ok(accepted())
    }

    /// Ask for a link that sets a new password
    ///
    /// 202 whether there is such an account or not, and in the same time.
    #[oai(path = "/password/forgot", method = "post", operation_id = "forgotPassword")]
    async fn forgot(
        &self,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<LinkRequestBody>,
    ) -> poem::Result<Accepted> {
        let email = body.email()?;
        self.auth.links().request_password_reset(&email, &context).await.map_err(refused)?;
        Ok(accepted())
    }

    /// Set a new password by a link
    ///
    /// The link is good once, for 30 minutes, and until the password or the address changes. Every session of the account ends.
    #[oai(path = "/password/reset", method = "post", operation_id = "resetPassword")]
    async fn reset(
        &self,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<ResetPasswordBody>,
    ) -> poem::Result<Json<MessageBody>> {
        let mut fields = Fields::default();
        let password = fields.password("new_password", &body.new_password);
        let password = fields.complete(password)?;
        let token = OneTimeTokenText::new(body.token);
        self.auth.links().reset_password(&token, password, &context).await.map_err(refused)?;
        Ok(Json(MessageBody { message: "The password was set and every session has ended".to_owned() }))
    }

    /// Ask for a link that logs in
    ///
    /// 202 whether there is such an account or not, and in the same time. From a browser, ask with `this_browser_only`: its cookie binds
    /// the link to it, so that nobody can have somebody else log in to an account that is not hers. A browser that has the cookie is
    /// bound in any case.
    #[oai(path = "/magic-link", method = "post", operation_id = "requestMagicLink")]
    async fn magic_link(
        &self,
        context: Data<&RequestContext>,
        browser: BrowserCookie,
        StrictJson(body): StrictJson<MagicLinkRequestBody>,
    ) -> poem::Result<Response<Accepted>> {
        let is_bound = body.this_browser_only.unwrap_or(browser.secret.is_some());
        let email = LinkRequestBody { email: body.email }.email()?;
        let (secret, cookie) = browser.keep();
        let secret = is_bound.then_some(secret.as_str());
        self.auth.links().request_magic_link(&email, secret, &context).await.map_err(refused)?;
        Ok(with_cookie(accepted(), is_bound.then_some(cookie)))
    }

    /// Log in by a link
    ///
    /// The link is good once, for ten minutes, and until the password or the address changes.
    #[oai(path = "/magic-link/verify", method = "post", operation_id = "logInByMagicLink")]
    async fn log_in(
        &self,
        context: Data<&RequestContext>,
        device: DeviceCookie,
        browser: BrowserCookie,
        StrictJson(body): StrictJson<MagicLinkLoginBody>,
    ) -> poem::Result<Response<Json<TokensBody>>> {
        let mut fields = Fields::default();
        let device_name = fields.device_name("device_name", body.device_name.as_deref());
        fields.complete(())?;
        let token = OneTimeTokenText::new(body.token);
        let logged_in =
            self.auth.links().log_in(&token, browser.secret.as_deref(), device_name, &context).await.map_err(refused)?;
        let cookie = logged_in.device_token.as_ref().map(|token| device.cookies.set(token));
        Ok(with_cookie(Json(logged_in.into()), cookie))
    }
}
