//! Second factors: the second half of a login under `/api/v1/auth/mfa`, turning them on and off under `/api/v1/users/me/mfa`.

use authkit_core::flows::{ProofMethod, SecondFactor};
use authkit_core::mfa::RecoveryCode;
use authkit_core::model::RequestContext;
use authkit_core::{AuthKit, FactorCode, MfaToken};
use poem::web::Data;
use poem_openapi::payload::{Json, Response};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde::Deserialize;

use super::caller::Caller;
use super::refusal::refused;
use super::reply::{Gone, TokensBody, with_cookie};
use super::tag::Tag;
use crate::http::{DeviceCookie, StrictJson};

// SECURITY: none of these bodies is `Debug`, so that no log line can ever show a token, a secret or a code.

/// What a code is of.
#[derive(Clone, Copy, Enum, Deserialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case", rename = "ProofFactor")]
pub(super) enum FactorName {
    /// An authenticator app.
    Totp,
    /// The recovery codes.
    RecoveryCode,
}

impl FactorName {
    /// A second factor as it is presented.
    pub(super) fn proof(self, code: String) -> SecondFactor {
        let factor = match self {
            Self::Totp => ProofMethod::Totp,
            Self::RecoveryCode => ProofMethod::RecoveryCode,
        };
        SecondFactor { factor, code: FactorCode::new(code) }
    }
}

/// The proof of a second factor, for the token of a login that asked for it.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "MfaVerify")]
struct VerifyBody {
    /// The `mfa_token` of the reply `auth.mfa_required`.
    mfa_token: String,
    /// What the code is of.
    factor: FactorName,
    /// The code, with or without spaces and hyphens.
    code: String,
}

/// A code of an authenticator app.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "TotpConfirm")]
struct ConfirmBody {
    /// The six digits that the app shows.
    code: String,
}

/// The caller's second factors.
#[derive(Debug, Object)]
#[oai(rename = "MfaStatus")]
struct StatusBody {
    /// The factors that are on: `totp`.
    factors: Vec<String>,
    /// How many recovery codes are left.
    recovery_codes_left: u32,
}

/// What an authenticator app needs to be told. It is not in force until a code of it is confirmed.
#[derive(Object)]
#[oai(rename = "TotpEnrolment")]
struct EnrolmentBody {
    /// The secret in base32, to be typed in.
    secret: String,
    /// The same as an `otpauth` address.
    otpauth_uri: String,
    /// The same as a QR code: an SVG document.
    qr_svg: String,
}

/// A set of recovery codes, shown once.
#[derive(Object)]
#[oai(rename = "RecoveryCodes")]
struct RecoveryCodesBody {
    /// Each is good for one login. Those of every earlier set are void.
    recovery_codes: Vec<String>,
}

impl From<Vec<RecoveryCode>> for RecoveryCodesBody {
    fn from(codes: Vec<RecoveryCode>) -> Self {
        Self { recovery_codes: codes.iter().map(RecoveryCode::expose).collect() }
    }
}

/// An enrolment was begun.
#[derive(ApiResponse)]
enum Begun {
    /// A secret was made. It waits to be confirmed.
    #[oai(status = 201)]
    Begun(Json<EnrolmentBody>),
}

/// The routes of second factors.
#[derive(Debug)]
pub struct MfaRoutes {
    auth: AuthKit,
}

impl MfaRoutes {
    pub(super) const fn new(auth: AuthKit) -> Self {
        Self { auth }
    }
}

#[OpenApi(prefix_path = "/api/v1")]
impl MfaRoutes {
    /// Prove a second factor
    ///
    /// The second half of a login that answered `auth.mfa_required`. A code is good once; wrong ones are counted for the account,
    /// over all its logins.
    #[oai(path = "/auth/mfa/verify", method = "post", operation_id = "verifyMfa", tag = "Tag::Authentication")]
    async fn verify(
        &self,
        context: Data<&RequestContext>,
        device: DeviceCookie,
        StrictJson(body): StrictJson<VerifyBody>,
    ) -> poem::Result<Response<Json<TokensBody>>> {
        let token = MfaToken::new(body.mfa_token);
        let logged_in = self.auth.mfa().verify(&token, &body.factor.proof(body.code), &context).await.map_err(refused)?;
        let cookie = logged_in.device_token.as_ref().map(|token| device.cookies.set(token));
        Ok(with_cookie(Json(logged_in.into()), cookie))
    }

    /// Your second factors
    #[oai(path = "/users/me/mfa", method = "get", operation_id = "getMfa", tag = "Tag::Account")]
    async fn status(&self, Caller(caller): Caller) -> poem::Result<Json<StatusBody>> {
        let status = self.auth.mfa().status(&caller).await.map_err(refused)?;
        Ok(Json(StatusBody {
            factors: status.factors.iter().map(|kind| kind.as_str().to_owned()).collect(),
            recovery_codes_left: u32::try_from(status.recovery_codes_left).unwrap_or(u32::MAX),
        }))
    }

    /// Set up an authenticator app
    ///
    /// Makes a secret, which replaces one that was not confirmed. It demands that you proved who you are within the last minutes.
    #[oai(path = "/users/me/mfa/totp", method = "post", operation_id = "startTotp", tag = "Tag::Account")]
    async fn start_totp(&self, Caller(caller): Caller, context: Data<&RequestContext>) -> poem::Result<Begun> {
        let told = self.auth.mfa().start_totp(&caller, &context).await.map_err(refused)?;
        let (secret, otpauth_uri, qr_svg) = (told.secret, told.otpauth_uri, told.qr_svg);
        Ok(Begun::Begun(Json(EnrolmentBody { secret, otpauth_uri, qr_svg })))
    }

    /// Turn your authenticator app on
    ///
    /// With a code that it shows. From now on it is asked for at each login. The recovery codes are shown this once.
    #[oai(path = "/users/me/mfa/totp/confirm", method = "post", operation_id = "confirmTotp", tag = "Tag::Account")]
    async fn confirm_totp(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<ConfirmBody>,
    ) -> poem::Result<Json<RecoveryCodesBody>> {
        let code = FactorCode::new(body.code);
        let codes = self.auth.mfa().confirm_totp(&caller, &code, &context).await.map_err(refused)?;
        Ok(Json(codes.into()))
    }

    /// Turn your authenticator app off
    ///
    /// It demands that you proved a second factor within the last minutes (`/api/v1/auth/reauthenticate`).
    #[oai(path = "/users/me/mfa/totp", method = "delete", operation_id = "removeTotp", tag = "Tag::Account")]
    async fn remove_totp(&self, Caller(caller): Caller, context: Data<&RequestContext>) -> poem::Result<Gone> {
        self.auth.mfa().remove_totp(&caller, &context).await.map_err(refused)?;
        Ok(Gone::Gone)
    }

    /// Fresh recovery codes
    ///
    /// The old ones are void. It demands that you proved a second factor within the last minutes.
    #[oai(path = "/users/me/mfa/recovery-codes", method = "post", operation_id = "replaceRecoveryCodes", tag = "Tag::Account")]
    async fn recovery_codes(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
    ) -> poem::Result<Json<RecoveryCodesBody>> {
        let codes = self.auth.mfa().replace_recovery_codes(&caller, &context).await.map_err(refused)?;
        Ok(Json(codes.into()))
    }
}
