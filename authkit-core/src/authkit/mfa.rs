//! The face of second factors.

use std::time::Duration;

use crate::flows::engine::Engine;
use crate::flows::enroll_mfa::Enroller;
use crate::flows::{
    self, AdminError, Administrator, EnrollError, Enrolled, FactorStatus, LoggedIn, Principal, ReauthenticateError, SecondFactor,
    SecondFactorError,
};
use crate::mfa::{RecoveryCode, TotpEnrolment};
use crate::model::{FactorKind, RequestContext};
use crate::primitives::{AccessToken, Email, FactorCode, MfaToken, PhoneNumber, TrustedDeviceId, UserId};

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
        flows::second_factor::verify(self.engine, token, proof, false, context).await
    }

    /// The same, and trusts the device: `trust_token` of what it returns is shown at the next login, which asks for no second factor
    /// then. A session that begins so is one of the first factor alone.
    pub async fn verify_and_trust(
        &self,
        token: &MfaToken,
        proof: &SecondFactor,
        context: &RequestContext,
    ) -> Result<LoggedIn, SecondFactorError> {
        flows::second_factor::verify(self.engine, token, proof, true, context).await
    }

    /// Has a code sent for the token that the first half of a login has left, by mail or by text message. Whether one was is not told:
    /// neither that enough were, nor that the factor is not in force.
    pub async fn send_code(&self, token: &MfaToken, kind: FactorKind, context: &RequestContext) -> Result<(), SecondFactorError> {
        flows::second_factor::send_code(self.engine, token, kind, context).await
    }

    /// Has a code sent to reauthenticate by. Whether one was is not told.
    pub async fn send_code_again(
        &self,
        principal: &Principal,
        kind: FactorKind,
        context: &RequestContext,
    ) -> Result<(), ReauthenticateError> {
        flows::reauthenticate::send_code(self.engine, principal, kind, context).await
    }

    /// The caller's second factors.
    pub async fn status(&self, principal: &Principal) -> Result<FactorStatus, EnrollError> {
        flows::enroll_mfa::status(self.engine, principal).await
    }

    /// Makes a secret for an authenticator app. It is not in force until it is confirmed.
    pub async fn start_totp(&self, principal: &Principal, context: &RequestContext) -> Result<TotpEnrolment, EnrollError> {
        flows::enroll_mfa::start_totp(self.engine, Enroller::Session(principal), context).await
    }

    /// Has a code sent to the address of the account, which has to be verified. Codes by mail are not in force until it is confirmed.
    pub async fn start_email(&self, principal: &Principal, context: &RequestContext) -> Result<(), EnrollError> {
        flows::enroll_mfa::start_email(self.engine, Enroller::Session(principal), context).await
    }

    /// Has a code sent to a telephone. Codes by text message are not in force until it is confirmed.
    pub async fn start_sms(
        &self,
        principal: &Principal,
        phone: PhoneNumber,
        context: &RequestContext,
    ) -> Result<(), EnrollError> {
        flows::enroll_mfa::start_sms(self.engine, Enroller::Session(principal), phone, context).await
    }

    /// Turns the factor on whose code is shown. Returns recovery codes, to be shown once, where the account has none yet.
    pub async fn confirm(
        &self,
        principal: &Principal,
        kind: FactorKind,
        code: &FactorCode,
        context: &RequestContext,
    ) -> Result<Vec<RecoveryCode>, EnrollError> {
        let enrolled = flows::enroll_mfa::confirm(self.engine, Enroller::Session(principal), kind, code, context).await?;
        Ok(enrolled.recovery_codes)
    }

    /// Turns the authenticator app on whose code is shown. Returns recovery codes, to be shown once, where the account has none yet.
    pub async fn confirm_totp(
        &self,
        principal: &Principal,
        code: &FactorCode,
        context: &RequestContext,
    ) -> Result<Vec<RecoveryCode>, EnrollError> {
        self.confirm(principal, FactorKind::Totp, code, context).await
    }

    /// Turns a factor off. The last one stays where one is demanded.
    pub async fn remove(&self, principal: &Principal, kind: FactorKind, context: &RequestContext) -> Result<(), EnrollError> {
        flows::enroll_mfa::remove(self.engine, principal, kind, context).await
    }

    /// Turns the authenticator app off.
    pub async fn remove_totp(&self, principal: &Principal, context: &RequestContext) -> Result<(), EnrollError> {
        self.remove(principal, FactorKind::Totp, context).await
    }

    /// Makes a secret for an authenticator app, for the token of a login that demands an enrolment.
    pub async fn enrol_totp(&self, token: &MfaToken, context: &RequestContext) -> Result<TotpEnrolment, EnrollError> {
        flows::enroll_mfa::start_totp(self.engine, Enroller::Ticket(token), context).await
    }

    /// Has a code sent to the address of the account, for the token of a login that demands an enrolment.
    pub async fn enrol_email(&self, token: &MfaToken, context: &RequestContext) -> Result<(), EnrollError> {
        flows::enroll_mfa::start_email(self.engine, Enroller::Ticket(token), context).await
    }

    /// Has a code sent to a telephone, for the token of a login that demands an enrolment.
    pub async fn enrol_sms(&self, token: &MfaToken, phone: PhoneNumber, context: &RequestContext) -> Result<(), EnrollError> {
        flows::enroll_mfa::start_sms(self.engine, Enroller::Ticket(token), phone, context).await
    }

    /// Turns the factor on whose code is shown, for the token of a login that demands an enrolment, and begins the session.
    pub async fn finish_enrolment(
        &self,
        token: &MfaToken,
        kind: FactorKind,
        code: &FactorCode,
        context: &RequestContext,
    ) -> Result<Enrolled, EnrollError> {
        flows::enroll_mfa::confirm(self.engine, Enroller::Ticket(token), kind, code, context).await
    }

    /// Takes the trust in one device back, or in all of them. Whether there was one.
    pub async fn forget_device(
        &self,
        principal: &Principal,
        id: Option<TrustedDeviceId>,
        context: &RequestContext,
    ) -> Result<bool, EnrollError> {
        flows::enroll_mfa::forget_device(self.engine, principal, id, context).await
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

    /// Turns every second factor of an account off and ends its sessions, on its owner's behalf. Whether there was one. For operators.
    pub async fn reset(&self, user_id: UserId, context: &RequestContext) -> Result<bool, AdminError> {
        flows::reset_mfa::reset(self.engine, Administrator::Operator, user_id, context).await
    }

    /// The same, of the account with an address.
    pub async fn reset_by_email(&self, email: &Email, context: &RequestContext) -> Result<bool, AdminError> {
        match self.engine.store.credentials_by_email(email).await.map_err(flows::Internal::from)? {
            Some(found) => self.reset(found.user.id, context).await,
            None => Ok(false),
        }
    }
}
