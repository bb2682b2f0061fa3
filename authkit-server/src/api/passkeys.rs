//! Passkeys: a login by one under `/api/v1/auth/passkey`, as a second factor under `/api/v1/auth/mfa/passkey`, and those of the caller
//! under `/api/v1/users/me/passkeys`.
//!
//! What a browser is asked for and what it answers is the JSON of WebAuthn Level 3 (§5.1.3, §5.1.8, §5.1.9), passed on as it is.

use authkit_core::mfa::RecoveryCode;
use authkit_core::model::{Passkey, PasskeyTransport, RequestContext};
use authkit_core::passkey::{AssertionReply, InvalidReply, RegistrationReply};
use authkit_core::{AuthKit, MfaToken, PasskeyId};
use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::{Json, Response};
use poem_openapi::types::Any;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::caller::Caller;
use super::field::Fields;
use super::refusal::{no_such_passkey, refused};
use super::reply::{AccessTokenBody, Gone, TokensBody, with_cookie};
use super::tag::Tag;
use crate::http::{DeviceCookie, StrictJson};
use crate::problem::Problem;

// SECURITY: none of the bodies with a token or a code is `Debug`, so that no log line can ever show one.

/// What a browser is asked for.
#[derive(Debug, Object)]
#[oai(rename = "PasskeyOptions")]
struct OptionsBody {
    /// The `publicKey` of `navigator.credentials.create()` or `get()`, as `PublicKeyCredential.parseCreationOptionsFromJSON()` and
    /// `parseRequestOptionsFromJSON()` take it.
    public_key: Any<Value>,
}

impl OptionsBody {
    fn of(options: impl Serialize) -> poem::Result<Json<Self>> {
        let public_key = serde_json::to_value(options).map_err(poem::error::InternalServerError)?;
        Ok(Json(Self { public_key: Any(public_key) }))
    }
}

/// A passkey that has signed.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "PasskeyLogin")]
struct LoginBody {
    /// What `navigator.credentials.get()` gave, as `credential.toJSON()` writes it.
    #[serde(deserialize_with = "any")]
    credential: Any<Value>,
    /// What you call the device, as the list of sessions shows it.
    device_name: Option<String>,
}

/// A login that waits for its second half.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "MfaPasskeyStart")]
struct SecondFactorStartBody {
    /// The `mfa_token` of the reply `auth.mfa_required`.
    mfa_token: String,
}

/// A passkey that has signed, for the token of a login that asked for it.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "MfaPasskeyFinish")]
struct SecondFactorBody {
    /// The `mfa_token` of the reply `auth.mfa_required`.
    mfa_token: String,
    /// What `navigator.credentials.get()` gave, as `credential.toJSON()` writes it.
    #[serde(deserialize_with = "any")]
    credential: Any<Value>,
}

/// A passkey that has signed.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "PasskeyProof")]
struct ProofBody {
    /// What `navigator.credentials.get()` gave, as `credential.toJSON()` writes it.
    #[serde(deserialize_with = "any")]
    credential: Any<Value>,
}

/// A passkey that was made.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "PasskeyRegister")]
struct RegisterBody {
    /// What `navigator.credentials.create()` gave, as `credential.toJSON()` writes it.
    #[serde(deserialize_with = "any")]
    credential: Any<Value>,
    /// What you call it. Default: `Passkey` and a number.
    name: Option<String>,
}

/// A name.
#[derive(Debug, Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(rename = "PasskeyRename")]
struct RenameBody {
    /// What you call the passkey.
    name: String,
}

/// One of your passkeys.
#[derive(Debug, Object)]
#[oai(rename = "Passkey")]
struct PasskeyBody {
    /// Names the passkey.
    id: String,
    /// What you call it.
    name: String,
    /// When it was made (RFC 3339).
    created_at: String,
    /// When it was last used (RFC 3339).
    last_used_at: Option<String>,
    /// Whether it may be copied to other devices.
    backup_eligible: bool,
    /// Whether it was when it was last used.
    backed_up: bool,
    /// How its authenticator is reached: `internal`, `hybrid`, `usb`, `nfc`, `ble`, `smart-card`.
    transports: Vec<String>,
    /// Which make its authenticator says that it is of: a UUID. Nobody vouches for that.
    aaguid: String,
}

impl From<&Passkey> for PasskeyBody {
    fn from(passkey: &Passkey) -> Self {
        Self {
            id: passkey.id.to_string(),
            name: passkey.name.to_string(),
            created_at: passkey.created_at.to_string(),
            last_used_at: passkey.last_used_at.map(|at| at.to_string()),
            backup_eligible: passkey.backup_eligible,
            backed_up: passkey.backed_up,
            transports: passkey.transports.iter().map(|transport| PasskeyTransport::as_str(*transport).to_owned()).collect(),
            aaguid: passkey.aaguid.to_string(),
        }
    }
}

/// Your passkeys.
#[derive(Debug, Object)]
#[oai(rename = "Passkeys")]
struct PasskeysBody {
    /// The oldest first.
    items: Vec<PasskeyBody>,
}

/// A passkey that was added.
#[derive(Object)]
#[oai(rename = "PasskeyAdded")]
struct AddedBody {
    /// The passkey.
    passkey: PasskeyBody,
    /// With your first second factor: recovery codes, shown this once. Each is good for one login. Empty otherwise.
    recovery_codes: Vec<String>,
}

/// A passkey was added.
#[derive(ApiResponse)]
enum Added {
    /// It can be used from now on.
    #[oai(status = 201)]
    Added(Json<AddedBody>),
}

/// Reads whatever JSON there is: browsers add members as the standard grows.
fn any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Any<Value>, D::Error> {
    Value::deserialize(deserializer).map(Any)
}

/// What a browser gave is none.
fn no_reply(_: InvalidReply) -> Problem {
    let problem =
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "passkey.invalid_reply", "This is no reply of a browser to a challenge");
    problem.field("credential", "invalid_credential", "must be the JSON of a PublicKeyCredential (WebAuthn Level 3 §5.1.3)")
}

/// The routes of passkeys.
#[derive(Debug)]
pub struct PasskeyRoutes {
    auth: AuthKit,
}

impl PasskeyRoutes {
    pub(super) const fn new(auth: AuthKit) -> Self {
        Self { auth }
    }
}

#[OpenApi(prefix_path = "/api/v1")]
impl PasskeyRoutes {
    /// Ask to log in by a passkey
    ///
    /// Nobody is named: the passkey says who it is. So it can be asked for as soon as a login page is opened, and be offered in its
    /// field for the name (`mediation: "conditional"`). The challenge is good once, for five minutes.
    #[oai(path = "/auth/passkey/login/start", method = "post", operation_id = "startPasskeyLogin", tag = "Tag::Authentication")]
    async fn start_login(&self, context: Data<&RequestContext>) -> poem::Result<Json<OptionsBody>> {
        OptionsBody::of(self.auth.passkeys().start_login(&context).await.map_err(refused)?)
    }

    /// Log in by a passkey
    ///
    /// Its authenticator has verified you, so that it is two factors (`acr` `aal2`) and no second one is asked for.
    #[oai(path = "/auth/passkey/login/finish", method = "post", operation_id = "finishPasskeyLogin", tag = "Tag::Authentication")]
    async fn finish_login(
        &self,
        context: Data<&RequestContext>,
        device: DeviceCookie,
        StrictJson(body): StrictJson<LoginBody>,
    ) -> poem::Result<Response<Json<TokensBody>>> {
        let reply = AssertionReply::parse(&body.credential.0).map_err(no_reply)?;
        let mut fields = Fields::default();
        let device_name = fields.device_name("device_name", body.device_name.as_deref());
        fields.complete(Some(()))?;
        let logged_in = self.auth.passkeys().finish_login(&reply, device_name, &context).await.map_err(refused)?;
        let cookie = logged_in.device_token.as_ref().map(|token| device.cookies.set(token));
        Ok(with_cookie(Json(logged_in.into()), cookie))
    }

    /// Ask to prove a passkey as second factor
    #[oai(path = "/auth/mfa/passkey/start", method = "post", operation_id = "startPasskeyMfa", tag = "Tag::Authentication")]
    async fn start_second_factor(
        &self,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<SecondFactorStartBody>,
    ) -> poem::Result<Json<OptionsBody>> {
        let token = MfaToken::new(body.mfa_token);
        OptionsBody::of(self.auth.passkeys().start_second_factor(&token, &context).await.map_err(refused)?)
    }

    /// Prove a passkey as second factor
    ///
    /// The second half of a login that answered `auth.mfa_required` with `passkey` among its `factors`.
    #[oai(path = "/auth/mfa/passkey/finish", method = "post", operation_id = "finishPasskeyMfa", tag = "Tag::Authentication")]
    async fn finish_second_factor(
        &self,
        context: Data<&RequestContext>,
        device: DeviceCookie,
        StrictJson(body): StrictJson<SecondFactorBody>,
    ) -> poem::Result<Response<Json<TokensBody>>> {
        let reply = AssertionReply::parse(&body.credential.0).map_err(no_reply)?;
        let token = MfaToken::new(body.mfa_token);
        let logged_in = self.auth.passkeys().finish_second_factor(&token, &reply, &context).await.map_err(refused)?;
        let cookie = logged_in.device_token.as_ref().map(|token| device.cookies.set(token));
        Ok(with_cookie(Json(logged_in.into()), cookie))
    }

    /// Ask to prove again who you are by a passkey
    #[oai(
        path = "/auth/reauthenticate/passkey/start",
        method = "post",
        operation_id = "startPasskeyReauthentication",
        tag = "Tag::Authentication"
    )]
    async fn start_reauthentication(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
    ) -> poem::Result<Json<OptionsBody>> {
        OptionsBody::of(self.auth.passkeys().start_reauthentication(&caller, &context).await.map_err(refused)?)
    }

    /// Prove again who you are by a passkey
    ///
    /// The reply is an access token with a fresh `auth_time`, for routes that demand recent authentication.
    #[oai(
        path = "/auth/reauthenticate/passkey/finish",
        method = "post",
        operation_id = "finishPasskeyReauthentication",
        tag = "Tag::Authentication"
    )]
    async fn finish_reauthentication(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<ProofBody>,
    ) -> poem::Result<Json<AccessTokenBody>> {
        let reply = AssertionReply::parse(&body.credential.0).map_err(no_reply)?;
        let proved = self.auth.passkeys().finish_reauthentication(&caller, &reply, &context).await;
        let (access_token, expires_in) = proved.map_err(refused)?;
        Ok(Json(AccessTokenBody {
            access_token: access_token.expose().to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: expires_in.as_secs(),
        }))
    }

    /// Your passkeys
    #[oai(path = "/users/me/passkeys", method = "get", operation_id = "listPasskeys", tag = "Tag::Account")]
    async fn list(&self, Caller(caller): Caller) -> poem::Result<Json<PasskeysBody>> {
        let passkeys = self.auth.passkeys().list(&caller).await.map_err(refused)?;
        Ok(Json(PasskeysBody { items: passkeys.iter().map(PasskeyBody::from).collect() }))
    }

    /// Ask to add a passkey
    ///
    /// It demands that you proved who you are within the last minutes, with a second factor where one is on.
    #[oai(
        path = "/users/me/passkeys/register/start",
        method = "post",
        operation_id = "startPasskeyRegistration",
        tag = "Tag::Account"
    )]
    async fn start_registration(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
    ) -> poem::Result<Json<OptionsBody>> {
        OptionsBody::of(self.auth.passkeys().start_registration(&caller, &context).await.map_err(refused)?)
    }

    /// Add a passkey
    ///
    /// It is a second factor of your account from now on: a password alone logs in no more. With the first one you get recovery codes,
    /// this once.
    #[oai(
        path = "/users/me/passkeys/register/finish",
        method = "post",
        operation_id = "finishPasskeyRegistration",
        tag = "Tag::Account"
    )]
    async fn finish_registration(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        StrictJson(body): StrictJson<RegisterBody>,
    ) -> poem::Result<Added> {
        let reply = RegistrationReply::parse(&body.credential.0).map_err(no_reply)?;
        let mut fields = Fields::default();
        let name = fields.passkey_name("name", body.name.as_deref());
        fields.complete(Some(()))?;
        let added = self.auth.passkeys().finish_registration(&caller, &reply, name, &context).await.map_err(refused)?;
        Ok(Added::Added(Json(AddedBody {
            passkey: PasskeyBody::from(&added.passkey),
            recovery_codes: added.recovery_codes.iter().map(RecoveryCode::expose).collect(),
        })))
    }

    /// Give one of your passkeys another name
    #[oai(path = "/users/me/passkeys/:id", method = "patch", operation_id = "renamePasskey", tag = "Tag::Account")]
    async fn rename(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the passkey.
        id: Path<String>,
        StrictJson(body): StrictJson<RenameBody>,
    ) -> poem::Result<Json<PasskeyBody>> {
        let mut fields = Fields::default();
        let name = fields.passkey_name("name", Some(&body.name));
        let name = fields.complete(name)?;
        // What is not an id names no passkey: the same answer as for somebody else's.
        let id: PasskeyId = id.0.parse().map_err(|_| no_such_passkey())?;
        let passkey = self.auth.passkeys().rename(&caller, id, name, &context).await.map_err(refused)?;
        Ok(Json(PasskeyBody::from(&passkey)))
    }

    /// Remove one of your passkeys
    ///
    /// It demands that you proved a second factor within the last minutes. The last one stays while there is no password.
    #[oai(path = "/users/me/passkeys/:id", method = "delete", operation_id = "removePasskey", tag = "Tag::Account")]
    async fn remove(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the passkey.
        id: Path<String>,
    ) -> poem::Result<Gone> {
        let id: PasskeyId = id.0.parse().map_err(|_| no_such_passkey())?;
        self.auth.passkeys().remove(&caller, id, &context).await.map_err(refused)?;
        Ok(Gone::Gone)
    }
}
