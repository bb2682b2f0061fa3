//! Second factors: the second half of a login under `/api/v1/auth/mfa`, turning them on and off under `/api/v1/users/me/mfa`.

use authkit_core::flows::{ProofMethod, SecondFactor};
use authkit_core::mfa::RecoveryCode;
use authkit_core::mfa::TotpEnrolment;
use authkit_core::model::{FactorKind, RequestContext, TrustedDevice};
use authkit_core::{AuthKit, FactorCode, MfaToken, PhoneNumber, PhoneNumberError};
use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::{Json, Response};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde::Deserialize;

use super::caller::Caller;
use super::field::Fields;
use super::refusal::refused;
use super::reply::{Gone, MessageBody, TokensBody, logged_in, with_cookie};
use super::tag::Tag;
use crate::http::{DeviceCookie, StrictJson};
use crate::problem::Problem;

// SECURITY: none of these bodies is `Debug`, so that no log line can ever show a token, a secret or a code.

/// What a code is of.
#[derive(Clone, Copy, Enum, Deserialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case", rename = "ProofFactor")]
pub(super) enum FactorName {
    /// An authenticator app.
    Totp,
    /// A code that was mailed.
    Email,
    /// A code that was sent to a telephone.
    Sms,
    /// The recovery codes.
    RecoveryCode,
}

impl FactorName {
    /// A second factor as it is presented.
    pub(super) fn proof(self, code: String) -> SecondFactor {
        let factor = match self {
            Self::Totp => ProofMethod::Totp,
            Self::Email => ProofMethod::Email,
            Self::Sms => ProofMethod::Sms,
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
    /// Whether no second factor shall be asked for on this device for a while: 30 days by default, and until the password or a factor
    /// changes. Send it only where the user has said so, on a device that is hers.
    trust_device: Option<bool>,
}

/// By which way a code is sent.
#[derive(Clone, Copy, Enum, Deserialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case", rename = "SentFactor")]
enum SentFactor {
    /// To the address of the account.
    Email,
    /// To its telephone.
    Sms,
}

impl SentFactor {
    const fn kind(self) -> FactorKind {
        match self {
            Self::Email => FactorKind::Email,
            Self::Sms => FactorKind::Sms,
        }
    }
}

/// What a code is asked for with.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "MfaChallenge")]
struct ChallengeBody {
    /// The `mfa_token` of the reply `auth.mfa_required`.
    mfa_token: String,
    /// By which way it shall come.
    factor: SentFactor,
}

/// By which way a code shall come.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "ReauthenticationCode")]
struct AgainBody {
    /// By which way it shall come.
    factor: SentFactor,
}

/// The token of a login that demands an enrolment.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "MfaEnrolment")]
struct TicketBody {
    /// The `mfa_token` of the reply `auth.mfa_enrolment_required`.
    mfa_token: String,
}

/// The same, and a telephone.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "MfaEnrolmentPhone")]
struct TicketPhoneBody {
    /// The `mfa_token` of the reply `auth.mfa_enrolment_required`.
    mfa_token: String,
    /// The number, with `+` and the code of the country.
    phone_number: String,
}

/// A factor that can be turned on by a code.
#[derive(Clone, Copy, Enum, Deserialize)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case", rename = "EnrolledFactor")]
enum EnrolledFactor {
    /// An authenticator app.
    Totp,
    /// Codes by mail.
    Email,
    /// Codes by text message.
    Sms,
}

impl EnrolledFactor {
    const fn kind(self) -> FactorKind {
        match self {
            Self::Totp => FactorKind::Totp,
            Self::Email => FactorKind::Email,
            Self::Sms => FactorKind::Sms,
        }
    }
}

/// The code that ends an enrolment, for the token of the login that demands it.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "MfaEnrolmentConfirm")]
struct FinishBody {
    /// The `mfa_token` of the reply `auth.mfa_enrolment_required`.
    mfa_token: String,
    /// What the code is of.
    factor: EnrolledFactor,
    /// The code.
    code: String,
}

/// A telephone.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "PhoneNumber")]
struct PhoneBody {
    /// The number, with `+` and the code of the country.
    phone_number: String,
}

/// A session that has begun with a factor that was demanded.
#[derive(Object)]
#[oai(rename = "MfaEnrolled")]
struct EnrolledBody {
    /// The tokens, as of a login.
    tokens: TokensBody,
    /// Each is good for one login, and shown this once. Empty where the account has a set already.
    recovery_codes: Vec<String>,
}

/// A device that is trusted.
#[derive(Debug, Object)]
#[oai(rename = "TrustedDevice")]
struct TrustedDeviceBody {
    /// Names it.
    id: String,
    /// What its user calls it.
    device_name: Option<String>,
    /// What it said that it is.
    user_agent: Option<String>,
    /// When it was trusted (RFC 3339).
    created_at: String,
    /// Until when (RFC 3339).
    expires_at: String,
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
    /// The factors that are on: `totp`, `email`, `sms`, `passkey`.
    factors: Vec<String>,
    /// Whether one is demanded of you: the last cannot be turned off.
    required: bool,
    /// The last digits of your telephone.
    phone_hint: Option<String>,
    /// The devices on which no second factor is asked for.
    trusted_devices: Vec<TrustedDeviceBody>,
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

/// That a code is on its way.
#[derive(Debug, ApiResponse)]
enum OnItsWay {
    /// If one is to be sent, it is on its way.
    #[oai(status = 202)]
    Accepted(Json<MessageBody>),
}

impl OnItsWay {
    fn told() -> Self {
        Self::Accepted(Json(MessageBody { message: "A code is on its way".to_owned() }))
    }
}

/// The caller's second factors.
#[derive(Debug, ApiResponse)]
enum Status {
    /// The factors that are on, and what goes with them.
    #[oai(status = 200)]
    Status(Json<StatusBody>),
}

/// An enrolment was begun.
#[derive(ApiResponse)]
enum Begun {
    /// A secret was made. It waits to be confirmed.
    #[oai(status = 201)]
    Begun(Json<EnrolmentBody>),
}

impl From<TotpEnrolment> for Begun {
    fn from(told: TotpEnrolment) -> Self {
        let (secret, otpauth_uri, qr_svg) = (told.secret, told.otpauth_uri, told.qr_svg);
        Self::Begun(Json(EnrolmentBody { secret, otpauth_uri, qr_svg }))
    }
}

fn phone(text: &str) -> Result<PhoneNumber, Problem> {
    PhoneNumber::parse(text).map_err(|error| {
        let message = match error {
            PhoneNumberError::NoMessages => "text messages cannot be sent to this kind of telephone number",
            _ => "is no telephone number: write it with + and the code of the country",
        };
        Fields::refused("phone_number", message)
    })
}

fn no_such_device() -> Problem {
    let problem = Problem::new(StatusCode::NOT_FOUND, "mfa.no_such_device", "You trust no such device");
    problem.detail("GET /api/v1/users/me/mfa lists those that you do.")
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
        let (mfa, proof) = (self.auth.mfa(), body.factor.proof(body.code));
        let begun = if body.trust_device.unwrap_or(false) {
            mfa.verify_and_trust(&token, &proof, &context).await
        } else {
            mfa.verify(&token, &proof, &context).await
        };
        Ok(logged_in(begun.map_err(refused)?, device.cookies))
    }

    /// Have a code sent
    ///
    /// By mail or by text message, for a login that answered `auth.mfa_required`. The answer is the same whether one is sent or not: at
    /// most one in half a minute and five an hour are, and none for a factor that is not on. A new code makes the one before void. A code
    /// by mail is not sent behind a login by a mailed link, which has shown the mailbox already.
    #[oai(path = "/auth/mfa/challenge", method = "post", operation_id = "sendMfaCode", tag = "Tag::Authentication")]
    async fn challenge(
        &self,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<ChallengeBody>,
    ) -> poem::Result<OnItsWay> {
        let token = MfaToken::new(body.mfa_token);
        self.auth.mfa().send_code(&token, body.factor.kind(), &context).await.map_err(refused)?;
        Ok(OnItsWay::told())
    }

    /// Have a code sent to prove again who you are
    ///
    /// For `/api/v1/auth/reauthenticate`. The answer is the same whether one is sent or not.
    #[oai(
        path = "/auth/reauthenticate/code",
        method = "post",
        operation_id = "sendReauthenticationCode",
        tag = "Tag::Authentication"
    )]
    async fn challenge_again(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<AgainBody>,
    ) -> poem::Result<OnItsWay> {
        self.auth.mfa().send_code_again(&caller, body.factor.kind(), &context).await.map_err(refused)?;
        Ok(OnItsWay::told())
    }

    /// Set up an authenticator app to log in
    ///
    /// For a login that answered `auth.mfa_enrolment_required`.
    #[oai(path = "/auth/mfa/enrolment/totp", method = "post", operation_id = "enrolTotp", tag = "Tag::Authentication")]
    async fn enrol_totp(&self, context: Data<&RequestContext>, StrictJson(body): StrictJson<TicketBody>) -> poem::Result<Begun> {
        let told = self.auth.mfa().enrol_totp(&MfaToken::new(body.mfa_token), &context).await.map_err(refused)?;
        Ok(told.into())
    }

    /// Set up codes by mail to log in
    ///
    /// For a login that answered `auth.mfa_enrolment_required`. The address has to be verified.
    #[oai(path = "/auth/mfa/enrolment/email", method = "post", operation_id = "enrolEmail", tag = "Tag::Authentication")]
    async fn enrol_email(
        &self,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<TicketBody>,
    ) -> poem::Result<OnItsWay> {
        self.auth.mfa().enrol_email(&MfaToken::new(body.mfa_token), &context).await.map_err(refused)?;
        Ok(OnItsWay::told())
    }

    /// Set up codes by text message to log in
    ///
    /// For a login that answered `auth.mfa_enrolment_required`.
    #[oai(path = "/auth/mfa/enrolment/sms", method = "post", operation_id = "enrolSms", tag = "Tag::Authentication")]
    async fn enrol_sms(
        &self,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<TicketPhoneBody>,
    ) -> poem::Result<OnItsWay> {
        let phone = phone(&body.phone_number)?;
        self.auth.mfa().enrol_sms(&MfaToken::new(body.mfa_token), phone, &context).await.map_err(refused)?;
        Ok(OnItsWay::told())
    }

    /// Turn a factor on and log in
    ///
    /// With the code of an enrolment that was begun. The session begins with it, and the recovery codes are shown this once.
    #[oai(path = "/auth/mfa/enrolment/confirm", method = "post", operation_id = "finishEnrolment", tag = "Tag::Authentication")]
    async fn finish(
        &self,
        context: Data<&RequestContext>,
        device: DeviceCookie,
        StrictJson(body): StrictJson<FinishBody>,
    ) -> poem::Result<Response<Json<EnrolledBody>>> {
        let (token, code) = (MfaToken::new(body.mfa_token), FactorCode::new(body.code));
        let enrolled = self.auth.mfa().finish_enrolment(&token, body.factor.kind(), &code, &context).await.map_err(refused)?;
        let Some(begun) = enrolled.logged_in else { return Err(no_such_device().into()) };
        let cookie = begun.device_token.as_ref().map(|token| device.cookies.set(token));
        let RecoveryCodesBody { recovery_codes } = enrolled.recovery_codes.into();
        Ok(with_cookie(Json(EnrolledBody { tokens: begun.into(), recovery_codes }), cookie))
    }

    /// Your second factors
    #[oai(path = "/users/me/mfa", method = "get", operation_id = "getMfa", tag = "Tag::Account")]
    async fn status(&self, Caller(caller): Caller) -> poem::Result<Status> {
        let status = self.auth.mfa().status(&caller).await.map_err(refused)?;
        let device = |device: &TrustedDevice| TrustedDeviceBody {
            id: device.id.to_string(),
            device_name: device.name.as_ref().map(ToString::to_string),
            user_agent: device.user_agent.as_ref().map(ToString::to_string),
            created_at: device.created_at.to_string(),
            expires_at: device.expires_at.to_string(),
        };
        Ok(Status::Status(Json(StatusBody {
            factors: status.factors.iter().map(|kind| kind.as_str().to_owned()).collect(),
            required: status.is_demanded,
            phone_hint: status.phone_hint,
            trusted_devices: status.trusted_devices.iter().map(device).collect(),
            recovery_codes_left: u32::try_from(status.recovery_codes_left).unwrap_or(u32::MAX),
        })))
    }

    /// Set up an authenticator app
    ///
    /// Makes a secret, which replaces one that was not confirmed. It demands that you proved who you are within the last minutes.
    #[oai(path = "/users/me/mfa/totp", method = "post", operation_id = "startTotp", tag = "Tag::Account")]
    async fn start_totp(&self, Caller(caller): Caller, context: Data<&RequestContext>) -> poem::Result<Begun> {
        let told = self.auth.mfa().start_totp(&caller, &context).await.map_err(refused)?;
        Ok(told.into())
    }

    /// Set up codes by mail
    ///
    /// Has a code sent to the address of the account, which has to be verified. It demands that you proved who you are within the last
    /// minutes. A code by mail is a second hurdle and no second factor of its own: `acr` stays `aal1` with it.
    #[oai(path = "/users/me/mfa/email", method = "post", operation_id = "startEmail", tag = "Tag::Account")]
    async fn start_email(&self, Caller(caller): Caller, context: Data<&RequestContext>) -> poem::Result<OnItsWay> {
        self.auth.mfa().start_email(&caller, &context).await.map_err(refused)?;
        Ok(OnItsWay::told())
    }

    /// Turn codes by mail on
    ///
    /// With the code that was mailed. Recovery codes are shown this once, where you have none yet.
    #[oai(path = "/users/me/mfa/email/confirm", method = "post", operation_id = "confirmEmail", tag = "Tag::Account")]
    async fn confirm_email(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<ConfirmBody>,
    ) -> poem::Result<Json<RecoveryCodesBody>> {
        let code = FactorCode::new(body.code);
        let codes = self.auth.mfa().confirm(&caller, FactorKind::Email, &code, &context).await.map_err(refused)?;
        Ok(Json(codes.into()))
    }

    /// Turn codes by mail off
    ///
    /// It demands that you proved a second factor within the last minutes (`/api/v1/auth/reauthenticate`).
    #[oai(path = "/users/me/mfa/email", method = "delete", operation_id = "removeEmailFactor", tag = "Tag::Account")]
    async fn remove_email(&self, Caller(caller): Caller, context: Data<&RequestContext>) -> poem::Result<Gone> {
        self.auth.mfa().remove(&caller, FactorKind::Email, &context).await.map_err(refused)?;
        Ok(Gone::Gone)
    }

    /// Set up codes by text message
    ///
    /// Has a code sent to the telephone. It demands that you proved who you are within the last minutes.
    #[oai(path = "/users/me/mfa/sms", method = "post", operation_id = "startSms", tag = "Tag::Account")]
    async fn start_sms(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<PhoneBody>,
    ) -> poem::Result<OnItsWay> {
        let phone = phone(&body.phone_number)?;
        self.auth.mfa().start_sms(&caller, phone, &context).await.map_err(refused)?;
        Ok(OnItsWay::told())
    }

    /// Turn codes by text message on
    ///
    /// With the code that was sent. Recovery codes are shown this once, where you have none yet.
    #[oai(path = "/users/me/mfa/sms/confirm", method = "post", operation_id = "confirmSms", tag = "Tag::Account")]
    async fn confirm_sms(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<ConfirmBody>,
    ) -> poem::Result<Json<RecoveryCodesBody>> {
        let code = FactorCode::new(body.code);
        let codes = self.auth.mfa().confirm(&caller, FactorKind::Sms, &code, &context).await.map_err(refused)?;
        Ok(Json(codes.into()))
    }

    /// Turn codes by text message off
    ///
    /// It demands that you proved a second factor within the last minutes (`/api/v1/auth/reauthenticate`).
    #[oai(path = "/users/me/mfa/sms", method = "delete", operation_id = "removeSms", tag = "Tag::Account")]
    async fn remove_sms(&self, Caller(caller): Caller, context: Data<&RequestContext>) -> poem::Result<Gone> {
        self.auth.mfa().remove(&caller, FactorKind::Sms, &context).await.map_err(refused)?;
        Ok(Gone::Gone)
    }

    /// Trust a device no more
    #[oai(
        path = "/users/me/mfa/trusted-devices/:id",
        method = "delete",
        operation_id = "forgetTrustedDevice",
        tag = "Tag::Account"
    )]
    async fn forget_device(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the device.
        id: Path<String>,
    ) -> poem::Result<Gone> {
        let id = id.0.parse().map_err(|_| no_such_device())?;
        let was_there = self.auth.mfa().forget_device(&caller, Some(id), &context).await.map_err(refused)?;
        if was_there { Ok(Gone::Gone) } else { Err(no_such_device().into()) }
    }

    /// Trust no device any more
    #[oai(path = "/users/me/mfa/trusted-devices", method = "delete", operation_id = "forgetTrustedDevices", tag = "Tag::Account")]
    async fn forget_devices(&self, Caller(caller): Caller, context: Data<&RequestContext>) -> poem::Result<Gone> {
        self.auth.mfa().forget_device(&caller, None, &context).await.map_err(refused)?;
        Ok(Gone::Gone)
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
