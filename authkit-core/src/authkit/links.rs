//! The face of mailed links.

use crate::flows::engine::Engine;
use crate::flows::{self, LinkError, LoggedIn};
use crate::model::{OneTimePurpose, RequestContext, User};
use crate::primitives::{DeviceName, Email, OneTimeTokenText, Password};

/// Links that are mailed: prove an address, set a new password, log in. Whoever asks for one is answered the same in content and in
/// time, whether the address has an account or not.
#[derive(Debug, Clone, Copy)]
pub struct Links<'a> {
    pub(super) engine: &'a Engine,
}

impl Links<'_> {
    /// Has a link mailed that proves the address of an account, where that is still to be proved.
    pub async fn request_verification(&self, email: &Email, context: &RequestContext) -> Result<(), LinkError> {
        flows::one_time::request(self.engine, OneTimePurpose::VerifyEmail, email, None, context).await
    }

    /// To which address a link was mailed, where it has not run out or been used: for a page that asks before it goes on. Nothing is
    /// used up, and what comes of the link is judged when it is presented.
    pub async fn peek(&self, token: &OneTimeTokenText, purpose: OneTimePurpose) -> Result<Email, LinkError> {
        flows::one_time::peek(self.engine, token, purpose).await
    }

    /// Takes the proof of the address of an account; returns the account. Nobody is logged in.
    pub async fn verify_email(&self, token: &OneTimeTokenText, context: &RequestContext) -> Result<User, LinkError> {
        flows::verify_email::verify(self.engine, token, context).await
    }

    /// Takes the proof of an address that an account shall move to, and moves it there; returns the account. Nobody is logged in.
    pub async fn confirm_email_change(&self, token: &OneTimeTokenText, context: &RequestContext) -> Result<User, LinkError> {
        flows::change_email::confirm(self.engine, token, context).await
    }

    /// Takes a change of the address back, by the link that was mailed to the address that was left: every session and every link
    /// ends, and another link is mailed there that sets a new password.
    pub async fn undo_email_change(&self, token: &OneTimeTokenText, context: &RequestContext) -> Result<(), LinkError> {
        flows::change_email::undo(self.engine, token, context).await
    }

    /// Sets the first password of an account that an administrator made, by the link of an invitation. Nobody is logged in.
    pub async fn accept_invitation(
        &self,
        token: &OneTimeTokenText,
        new: Password,
        context: &RequestContext,
    ) -> Result<(), LinkError> {
        flows::reset_password::reset(self.engine, OneTimePurpose::Invitation, token, new, context).await.map(|_| ())
    }

    /// Has a link mailed that sets a new password.
    pub async fn request_password_reset(&self, email: &Email, context: &RequestContext) -> Result<(), LinkError> {
        flows::one_time::request(self.engine, OneTimePurpose::ResetPassword, email, None, context).await
    }

    /// Sets a new password by a mailed link, ends every session of the account and voids every other link; returns how many sessions
    /// ended.
    pub async fn reset_password(
        &self,
        token: &OneTimeTokenText,
        new: Password,
        context: &RequestContext,
    ) -> Result<usize, LinkError> {
        flows::reset_password::reset(self.engine, OneTimePurpose::ResetPassword, token, new, context).await
    }

    /// Has a link mailed that logs in. `browser` is a secret that the browser keeps, in a cookie: then the link is good only there.
    pub async fn request_magic_link(
        &self,
        email: &Email,
        browser: Option<&str>,
        context: &RequestContext,
    ) -> Result<(), LinkError> {
        flows::one_time::request(self.engine, OneTimePurpose::MagicLink, email, browser, context).await
    }

    /// Logs in by a mailed link.
    pub async fn log_in(
        &self,
        token: &OneTimeTokenText,
        browser: Option<&str>,
        device_name: Option<DeviceName>,
        context: &RequestContext,
    ) -> Result<LoggedIn, LinkError> {
        flows::magic_link::redeem(self.engine, token, browser, device_name, context).await
    }
}
