//! The face of passkeys.

use std::time::Duration;

use crate::flows::engine::Engine;
use crate::flows::{self, LoggedIn, PasskeyAdded, PasskeyError, PasskeyProofError, Principal};
use crate::model::{Passkey, RequestContext};
use crate::passkey::{AssertionReply, CreationOptions, RegistrationReply, RelyingParty, RequestOptions};
use crate::primitives::{AccessToken, DeviceName, MfaToken, PasskeyId, PasskeyName};

/// Passkeys (WebAuthn Level 3): add, use, rename, remove.
///
/// Each ceremony has two halves. The first hands out options: send them to the browser as JSON, which turns them into what
/// `navigator.credentials` takes with `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`. What the
/// browser makes of them, `credential.toJSON()`, goes to the second half.
#[derive(Debug, Clone, Copy)]
pub struct Passkeys<'a> {
    pub(super) engine: &'a Engine,
}

impl Passkeys<'_> {
    /// The service as passkeys know it; `None` where it has an address and no name.
    #[must_use]
    pub fn relying_party(&self) -> Option<&RelyingParty> {
        self.engine.passkeys.as_ref()
    }

    /// Begins a login by a passkey alone. Nobody is named, so it can be asked for as soon as a login page is opened.
    pub async fn start_login(&self, context: &RequestContext) -> Result<RequestOptions, PasskeyProofError> {
        flows::passkey_login::start(self.engine, context).await
    }

    /// Logs in whose passkey has signed. She has proved two factors (`acr` `aal2`), so that nothing more is asked for.
    pub async fn finish_login(
        &self,
        reply: &AssertionReply,
        device_name: Option<DeviceName>,
        context: &RequestContext,
    ) -> Result<LoggedIn, PasskeyProofError> {
        flows::passkey_login::finish(self.engine, reply, device_name, context).await
    }

    /// Begins the second half of a login whose first half was something else.
    pub async fn start_second_factor(
        &self,
        token: &MfaToken,
        context: &RequestContext,
    ) -> Result<RequestOptions, PasskeyProofError> {
        flows::passkey_second_factor::start(self.engine, token, context).await
    }

    /// Checks the passkey of a second half, and begins the session.
    pub async fn finish_second_factor(
        &self,
        token: &MfaToken,
        reply: &AssertionReply,
        context: &RequestContext,
    ) -> Result<LoggedIn, PasskeyProofError> {
        flows::passkey_second_factor::finish(self.engine, token, reply, context).await
    }

    /// Begins a renewed proof of identity.
    pub async fn start_reauthentication(
        &self,
        principal: &Principal,
        context: &RequestContext,
    ) -> Result<RequestOptions, PasskeyProofError> {
        flows::passkey_second_factor::start_again(self.engine, principal, context).await
    }

    /// Checks the passkey, and issues an access token with a fresh `auth_time`, and how long it is valid.
    pub async fn finish_reauthentication(
        &self,
        principal: &Principal,
        reply: &AssertionReply,
        context: &RequestContext,
    ) -> Result<(AccessToken, Duration), PasskeyProofError> {
        flows::passkey_second_factor::finish_again(self.engine, principal, reply, context).await
    }

    /// The passkeys of the caller, the oldest first.
    pub async fn list(&self, principal: &Principal) -> Result<Vec<Passkey>, PasskeyError> {
        flows::passkeys::list(self.engine, principal).await
    }

    /// Begins to add a passkey.
    pub async fn start_registration(
        &self,
        principal: &Principal,
        context: &RequestContext,
    ) -> Result<CreationOptions, PasskeyError> {
        flows::passkeys::start(self.engine, principal, context).await
    }

    /// Adds the passkey that the browser has made. It is a second factor of the account from then on: a password alone logs in no more.
    pub async fn finish_registration(
        &self,
        principal: &Principal,
        reply: &RegistrationReply,
        name: Option<PasskeyName>,
        context: &RequestContext,
    ) -> Result<PasskeyAdded, PasskeyError> {
        flows::passkeys::finish(self.engine, principal, reply, name, context).await
    }

    /// Gives a passkey another name.
    pub async fn rename(
        &self,
        principal: &Principal,
        id: PasskeyId,
        name: PasskeyName,
        context: &RequestContext,
    ) -> Result<Passkey, PasskeyError> {
        flows::passkeys::rename(self.engine, principal, id, name, context).await
    }

    /// Removes a passkey.
    pub async fn remove(&self, principal: &Principal, id: PasskeyId, context: &RequestContext) -> Result<(), PasskeyError> {
        flows::passkeys::remove(self.engine, principal, id, context).await
    }
}
