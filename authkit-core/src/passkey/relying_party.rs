//! The service as passkeys know it, and what a reply proves to it (WebAuthn Level 3 §7).

use std::collections::BTreeSet;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde_json::json;
use url::{Host, Url};
use uuid::Uuid;
use webauthn_rs_core::error::WebauthnError;
use webauthn_rs_core::internals::AuthenticatorData;
use webauthn_rs_core::proto::{
    AttestationFormat, AttestationMetadata, COSEAlgorithm, COSEKey, Credential, ParsedAttestation, ParsedAttestationData,
    RegisteredExtensions, Registration, UserVerificationPolicy,
};

use super::ceremony::{Challenge, user_handle};
use super::options::{Algorithm, CreationOptions, Descriptor, Owner, RequestOptions, Rp, Selection, encode};
use super::reply::{AssertionReply, ClientData, RegistrationReply, ReplyError};
use crate::config::PasskeyConfig;
use crate::model::{CredentialId, Passkey, PasskeyTransport, User};

/// What is offered, in the order of preference: ES256, RS256 (which older TPMs have alone), ES384.
const ALGORITHMS: [COSEAlgorithm; 3] = [COSEAlgorithm::ES256, COSEAlgorithm::RS256, COSEAlgorithm::ES384];

/// Why nobody can make a passkey for this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelyingPartyError {
    /// The RP ID is no domain. An address of the internet protocol cannot be one (WebAuthn Level 3 §5.1.3).
    #[error("passkeys.rp_id must be a domain, in lower case and without port")]
    RpId,
    /// An origin is none, or one that no passkey of the RP ID can be used at.
    #[error(
        "passkeys.origins must hold https origins without path at the RP ID or below it, http origins of localhost, or apps as \
         android:apk-key-hash:… or ios:bundle-id:…"
    )]
    Origin,
}

/// The service as passkeys know it.
pub struct RelyingParty {
    id: String,
    name: String,
    origins: Vec<String>,
    timeout: Duration,
    library: webauthn_rs_core::WebauthnCore,
    /// What is asked of authenticators, and insisted on: that they verify their user.
    verification: UserVerificationPolicy,
    /// Whether passkeys count as ones that verified their user when they were made: they always did.
    verified_before: bool,
}

/// A key that was registered.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NewKey {
    /// What its authenticator calls it.
    pub credential_id: CredentialId,
    /// The public key, a `COSE_Key`.
    pub public_key: Vec<u8>,
    /// Its counter.
    pub sign_count: u32,
    /// Whether it may be copied to other devices.
    pub backup_eligible: bool,
    /// Whether it is.
    pub backed_up: bool,
    /// How its authenticator is reached.
    pub transports: BTreeSet<PasskeyTransport>,
    /// Which make its authenticator says that it is of.
    pub aaguid: Uuid,
}

/// What a use of a passkey says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Used {
    /// Its counter.
    pub sign_count: u32,
    /// Whether it is copied to other devices now.
    pub backed_up: bool,
}

impl RelyingParty {
    /// The service whose tokens say `issuer`. `None` where it has an address and no name: no browser makes a passkey for that.
    ///
    /// # Errors
    /// When the settings name what cannot be.
    pub fn new(issuer: &str, config: &PasskeyConfig) -> Result<Option<Self>, RelyingPartyError> {
        let issuer = Url::parse(issuer).ok();
        let own = issuer.as_ref().and_then(own_origin);
        let id = match (&config.rp_id, &own) {
            (Some(id), _) => id.clone(),
            (None, Some((host, _))) => host.clone(),
            (None, None) if config.origins.is_empty() => return Ok(None),
            (None, None) => return Err(RelyingPartyError::RpId),
        };
        if !matches!(Host::parse(&id), Ok(Host::Domain(domain)) if domain == id) {
            return Err(RelyingPartyError::RpId);
        }
        // The issuer's own is one of them wherever it can be: where the RP ID is another domain, it cannot.
        let mut origins: Vec<String> = own.into_iter().filter(|(host, _)| is_at(host, &id)).map(|(_, origin)| origin).collect();
        for origin in &config.origins {
            let origin = checked(origin, &id).ok_or(RelyingPartyError::Origin)?;
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        if origins.is_empty() {
            return Err(RelyingPartyError::Origin);
        }
        let urls: Vec<Url> = origins.iter().filter_map(|origin| Url::parse(origin).ok()).collect();
        let name = config.rp_name.clone().unwrap_or_else(|| id.clone());
        let timeout = config.challenge_lifetime;
        // The library is told no subdomains and no other ports: an origin is one that is written down, or none.
        let library =
            webauthn_rs_core::WebauthnCore::new_unsafe_experts_only(&name, &id, urls, timeout, Some(false), Some(false));
        Ok(Some(Self {
            id,
            name,
            origins,
            timeout,
            library,
            verification: UserVerificationPolicy::Required,
            verified_before: true,
        }))
    }

    /// The RP ID.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The origins that passkeys can be used at.
    #[must_use]
    pub fn origins(&self) -> &[String] {
        &self.origins
    }

    /// What a browser is asked for to make a passkey of `user`, who has `passkeys` already.
    #[must_use]
    pub fn creation_options(&self, user: &User, passkeys: &[Passkey], challenge: &Challenge) -> CreationOptions {
        let name = user.email.spelling().to_owned();
        CreationOptions {
            rp: Rp { id: self.id.clone(), name: self.name.clone() },
            user: Owner {
                id: encode(&user_handle(user.id)),
                display_name: user.full_name.as_ref().map_or_else(|| name.clone(), |full| full.as_str().to_owned()),
                name,
            },
            challenge: encode(challenge.as_bytes()),
            pub_key_cred_params: ALGORITHMS.iter().map(|alg| Algorithm { kind: "public-key", alg: *alg as i64 }).collect(),
            timeout: self.timeout_millis(),
            exclude_credentials: passkeys.iter().map(Descriptor::from).collect(),
            authenticator_selection: Selection {
                resident_key: "required",
                require_resident_key: true,
                user_verification: "required",
            },
            attestation: "none",
        }
    }

    /// What a browser is asked for to use one of these passkeys, or any where there are none.
    #[must_use]
    pub fn request_options(&self, passkeys: &[Passkey], challenge: &Challenge) -> RequestOptions {
        RequestOptions {
            challenge: encode(challenge.as_bytes()),
            timeout: self.timeout_millis(),
            rp_id: self.id.clone(),
            allow_credentials: passkeys.iter().map(Descriptor::from).collect(),
            user_verification: "required",
        }
    }

    /// The same one, that asks for less: to see what else is judged in vectors that lack it.
    #[cfg(test)]
    pub(super) fn verifying(mut self, verification: UserVerificationPolicy) -> Self {
        self.verification = verification;
        self
    }

    #[cfg(test)]
    pub(super) fn verified_before(mut self, verified_before: bool) -> Self {
        self.verified_before = verified_before;
        self
    }

    fn timeout_millis(&self) -> u64 {
        u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX)
    }

    /// Judges a new key (WebAuthn Level 3 §7.1). Whether its challenge was ours and is unanswered is for the caller to know.
    ///
    /// # Errors
    /// When it cannot be accepted.
    pub fn register(&self, reply: &RegistrationReply, known: &[Passkey]) -> Result<NewKey, ReplyError> {
        self.check_client(&reply.client_data()?, "webauthn.create")?;
        let attestation = Attestation::parse(&reply.credential.response.attestation_object)?;
        let known: Vec<String> = known.iter().map(|passkey| encode(passkey.credential_id.as_bytes())).collect();
        // The state of a registration, as the library writes it down itself.
        let state: webauthn_rs_core::proto::RegistrationState = serde_json::from_value(json!({
            "policy": self.verification,
            "exclude_credentials": known,
            "challenge": encode(reply.challenge().as_bytes()),
            "credential_algorithms": ALGORITHMS,
            "require_resident_key": true,
            "authenticator_attachment": null,
            "extensions": {},
            "allow_synchronised_authenticators": true,
        }))
        .map_err(|_| ReplyError::Malformed)?;
        let key = self.library.register_credential(&reply.credential, &state, None).map_err(|error| refusal(&error))?;
        if key.cred_id != reply.credential_id.as_bytes() {
            return Err(ReplyError::Malformed);
        }
        Ok(NewKey {
            credential_id: reply.credential_id.clone(),
            public_key: attestation.public_key,
            sign_count: key.counter,
            backup_eligible: key.backup_eligible,
            backed_up: key.backup_state,
            transports: reply.transports.iter().filter_map(|name| PasskeyTransport::from_name(name)).collect(),
            aaguid: attestation.aaguid,
        })
    }

    /// Judges a use of a passkey (WebAuthn Level 3 §7.2). Whether its challenge was ours and is unanswered is for the caller to know.
    ///
    /// # Errors
    /// When it proves nothing.
    pub fn authenticate(&self, reply: &AssertionReply, passkey: &Passkey) -> Result<Used, ReplyError> {
        self.check_client(&reply.client_data()?, "webauthn.get")?;
        if reply.user_handle().is_some_and(|handle| handle != user_handle(passkey.user_id)) {
            return Err(ReplyError::UserHandle);
        }
        let state: webauthn_rs_core::proto::AuthenticationState = serde_json::from_value(json!({
            "credentials": [],
            "policy": self.verification,
            "challenge": encode(reply.challenge().as_bytes()),
            "appid": null,
            "allow_backup_eligible_upgrade": false,
        }))
        .map_err(|_| ReplyError::Malformed)?;
        let credential = self.credential(passkey)?;
        let result = self.library.authenticate_single_credential(&reply.credential, &state, &credential);
        let result = result.map_err(|error| refusal(&error))?;
        Ok(Used { sign_count: result.counter(), backed_up: result.backup_state() })
    }

    /// SECURITY: the origin is compared as text, as the browser wrote it, and what comes out of a frame of another site is refused: the
    /// library looks at that in registrations only.
    fn check_client(&self, client: &ClientData, kind: &str) -> Result<(), ReplyError> {
        if client.kind != kind {
            return Err(ReplyError::Kind);
        }
        let at_home = self.origins.contains(&client.origin) && !client.cross_origin && client.top_origin.is_none();
        if at_home { Ok(()) } else { Err(ReplyError::Origin) }
    }

    /// A passkey as the library knows it.
    fn credential(&self, passkey: &Passkey) -> Result<Credential, ReplyError> {
        let key: serde_cbor_2::Value = serde_cbor_2::from_slice(&passkey.public_key).map_err(|_| ReplyError::Malformed)?;
        Ok(Credential {
            cred_id: passkey.credential_id.as_bytes().to_vec(),
            cred: COSEKey::try_from(&key).map_err(|_| ReplyError::Malformed)?,
            counter: passkey.sign_count,
            transports: None,
            user_verified: self.verified_before,
            backup_eligible: passkey.backup_eligible,
            backup_state: passkey.backed_up,
            registration_policy: self.verification,
            extensions: RegisteredExtensions::none(),
            attestation: ParsedAttestation { data: ParsedAttestationData::None, metadata: AttestationMetadata::None },
            attestation_format: AttestationFormat::None,
        })
    }
}

impl fmt::Debug for RelyingParty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelyingParty").field("id", &self.id).field("origins", &self.origins).finish_non_exhaustive()
    }
}

/// What is taken from an attestation object beside what the library makes of it.
struct Attestation {
    public_key: Vec<u8>,
    aaguid: Uuid,
}

impl Attestation {
    fn parse(bytes: &[u8]) -> Result<Self, ReplyError> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Object<'a> {
            fmt: &'a str,
            auth_data: &'a [u8],
        }
        let object: Object<'_> = serde_cbor_2::from_slice(bytes).map_err(|_| ReplyError::Malformed)?;
        // SECURITY: no attestation was asked for, and browsers take away what there is, but for that which a key signs with itself. The
        // parsers of all the others, certificates and structures of TPMs, are not for strangers to try.
        if !["none", "packed"].contains(&object.fmt) {
            return Err(ReplyError::Attestation);
        }
        let data = AuthenticatorData::<Registration>::try_from(object.auth_data).map_err(|_| ReplyError::Malformed)?;
        let key = data.acd.ok_or(ReplyError::Malformed)?;
        let public_key = serde_cbor_2::to_vec(&key.credential_pk).map_err(|_| ReplyError::Malformed)?;
        Ok(Self { public_key, aaguid: Uuid::from_bytes(key.aaguid) })
    }
}

/// The host of the issuer and its origin, where a browser makes passkeys for it.
fn own_origin(issuer: &Url) -> Option<(String, String)> {
    let mut issuer = issuer.clone();
    // A loopback address is no domain, and `localhost` is the name that it has in every browser.
    let loopback = match issuer.host()? {
        Host::Domain(_) => false,
        Host::Ipv4(ip) => ip == Ipv4Addr::LOCALHOST,
        Host::Ipv6(ip) => ip == Ipv6Addr::LOCALHOST,
    };
    if loopback {
        issuer.set_host(Some("localhost")).ok()?;
    }
    let host = issuer.domain()?.to_owned();
    let secure = issuer.scheme() == "https" || is_local(&host);
    secure.then(|| (host, issuer.origin().ascii_serialization()))
}

/// An origin as browsers write it, if passkeys of the RP ID can be used there.
fn checked(origin: &str, rp_id: &str) -> Option<String> {
    if ["android:apk-key-hash:", "ios:bundle-id:"].iter().any(|app| origin.len() > app.len() && origin.starts_with(app)) {
        return Some(origin.to_owned());
    }
    let url = Url::parse(origin).ok()?;
    let host = url.domain()?;
    let secure = url.scheme() == "https" || (url.scheme() == "http" && is_local(host));
    let plain = url.origin().ascii_serialization();
    // No path, no user: what follows is not compared, and whoever wrote it believes that it is.
    (secure && is_at(host, rp_id) && origin.trim_end_matches('/') == plain).then_some(plain)
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

/// Whether a host is the RP ID, or below it.
fn is_at(host: &str, rp_id: &str) -> bool {
    host == rp_id || host.strip_suffix(rp_id).is_some_and(|below| below.ends_with('.'))
}

/// What an error of the library says about a reply.
fn refusal(error: &WebauthnError) -> ReplyError {
    match error {
        WebauthnError::InvalidClientDataType => ReplyError::Kind,
        WebauthnError::InvalidRPOrigin | WebauthnError::CredentialCrossOrigin => ReplyError::Origin,
        WebauthnError::InvalidRPIDHash => ReplyError::RpId,
        WebauthnError::UserNotPresent => ReplyError::NotPresent,
        WebauthnError::UserNotVerified => ReplyError::NotVerified,
        WebauthnError::AuthenticationFailure | WebauthnError::SignatureInvalid => ReplyError::Signature,
        WebauthnError::CredentialPossibleCompromise => ReplyError::CounterWentBack,
        WebauthnError::CredentialBackupEligibilityInconsistent | WebauthnError::CredentialMayNotBeHardwareBound => {
            ReplyError::BackupFlags
        }
        WebauthnError::COSEKeyInvalidAlgorithm
        | WebauthnError::COSEKeyInvalidType
        | WebauthnError::COSEKeyRSANEInvalid
        | WebauthnError::CredentialAlteredAlgFromRequest
        | WebauthnError::SshPublicKeyEDUnsupported => ReplyError::Algorithm,
        WebauthnError::AttestationNotSupported
        | WebauthnError::AttestationStatementSigInvalid
        | WebauthnError::AttestationStatementAlgMismatch
        | WebauthnError::AttestationStatementX5CInvalid
        | WebauthnError::AttestationStatementMapInvalid
        | WebauthnError::AttestationStatementSigMissing
        | WebauthnError::AttestationStatementAlgMissing
        | WebauthnError::AttestationCertificateRequirementsNotMet => ReplyError::Attestation,
        _ => ReplyError::Malformed,
    }
}
