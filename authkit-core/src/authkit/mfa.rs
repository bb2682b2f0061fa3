//! The face of second factors.

use std::time::Duration;

use crate::flows::engine::Engine;
use crate::flows::{
    self, EnrollError, FactorStatus, Internal, LoggedIn, Principal, ReauthenticateError, SecondFactor, SecondFactorError,
};
use crate::mfa::{RecoveryCode, TotpEnrolment};
use crate::model::RequestContext;
use crate::primitives::{AccessToken, Email, FactorCode, MfaToken, UserId};

/// Second factors: turn on, turn off, prove.
#[derive(Debug, Clone, Copy)]
pub struct Mfa<'a> {
    pub(super) engine: &'a Engine,
}

impl Mfa<'_> {
    /// The second half of a login: checks a second factor for the token that the first half has left, and begins the session.
    pub async fn verify(
        &self,
        token: &MfaToken,
        proof: &SecondFactor,
        context: &RequestContext,
    ) -> Result<LoggedIn, SecondFactorError> {
        flows::second_factor::verify(self.engine, token, proof, context).await
    }

    /// The caller's second factors.
    pub async fn status(&self, principal: &Principal) -> Result<FactorStatus, EnrollError> {
        flows::enroll_mfa::status(self.engine, principal).await
    }

    /// Makes a secret for an authenticator app. It is not in force until it is confirmed.
    pub async fn start_totp(&self, principal: &Principal, context: &RequestContext) -> Result<TotpEnrolment, EnrollError> {
        flows::enroll_mfa::start_totp(self.engine, principal, context).await
    }

    /// Turns the authenticator app on whose code is shown. Returns recovery codes, to be shown once.
    pub async fn confirm_totp(
        &self,
        principal: &Principal,
        code: &FactorCode,
        context: &RequestContext,
    ) -> Result<Vec<RecoveryCode>, EnrollError> {
        flows::enroll_mfa::confirm_totp(self.engine, principal, code, context).await
    }

    /// Turns the authenticator app off.
    pub async fn remove_totp(&self, principal: &Principal, context: &RequestContext) -> Result<(), EnrollError> {
        flows::enroll_mfa::remove_totp(self.engine, principal, context).await
    }

    /// Makes a fresh set of recovery codes, to be shown once; the old one is void.
    pub async fn replace_recovery_codes(
        &self,
        principal: &Principal,
        context: &RequestContext,
    ) -> Result<Vec<RecoveryCode>, EnrollError> {
        flows::enroll_mfa::replace_recovery_codes(self.engine, principal, context).await
    }

    /// Checks a second factor again, and issues an access token with a fresh `auth_time` that says so.
    pub async fn reauthenticate(
        &self,
        principal: &Principal,
        proof: &SecondFactor,
        context: &RequestContext,
    ) -> Result<(AccessToken, Duration), ReauthenticateError> {
        flows::reauthenticate::reauthenticate_by_factor(self.engine, principal, proof, context).await
    }

    /// Turns every second factor of an account off, on its owner's behalf. Whether there was one. For operators.
    pub async fn reset(&self, user_id: UserId, context: &RequestContext) -> Result<bool, Internal> {
        flows::enroll_mfa::reset(self.engine, user_id, context).await
    }

    /// The same, of the account with an address.
    pub async fn reset_by_email(&self, email: &Email, context: &RequestContext) -> Result<bool, Internal> {
        match self.engine.store.credentials_by_email(email).await? {
            Some(found) => self.reset(found.user.id, context).await,
            None => Ok(false),
        }
    }
}
