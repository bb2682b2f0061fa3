//! Access tokens: issued and verified (RFC 9068), with nothing but a keyring, the settings and the time.

use crate::config::TokenConfig;
use crate::model::{Access, AssuranceLevel, AuthMethod, Impersonator};
use crate::primitives::{AccessToken, Entropy, SessionId, Timestamp, TokenId, UserId};
use crate::token::access_key::AccessKey;
use crate::token::claims::{AccessClaims, CLIENT_ID, Written, WrittenAct};
use crate::token::header;
use crate::token::jws::{self, Compact};
use crate::token::key_material::KeyError;
use crate::token::keyring::Keyring;
use crate::token::roles::WrittenRoles;

/// The longest access token that is looked at, in bytes. Ours have 500 to 900, and
/// with as many roles as fit in some 7,000.
pub const MAX_TOKEN_BYTES: usize = 8 * 1_024;

/// Why an access token is refused. Clients are told one thing for all of them; the reason is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum AccessTokenError {
    /// Longer than [`MAX_TOKEN_BYTES`]; nothing of it was parsed.
    #[error("the access token is too long")]
    TooLong,
    /// Not three segments of canonical base64url, or no JSON.
    #[error("the access token is malformed")]
    Malformed,
    /// A header member beside `alg`, `typ` and `kid`, or one of another type or there twice.
    #[error("the access token has a header that is not supported")]
    UnsupportedHeader,
    /// Another kind of token: its `typ` is not `at+jwt`.
    #[error("the token is not an access token")]
    WrongType,
    /// It names no key of ours, or no key at all.
    #[error("the access token is signed with an unknown key")]
    UnknownKey,
    /// Its `alg` is not its key's.
    #[error("the access token names another algorithm than its key's")]
    AlgorithmMismatch,
    /// The signature is not its key's.
    #[error("the access token has a wrong signature")]
    BadSignature,
    /// A claim is missing, of a wrong type, or there twice.
    #[error("the access token has unusable claims")]
    BadClaims,
    /// Issued by somebody else.
    #[error("the access token is from another issuer")]
    WrongIssuer,
    /// Meant for somebody else.
    #[error("the access token is for another audience")]
    WrongAudience,
    /// It says that its time has yet to come.
    #[error("the access token is not valid yet")]
    NotYetValid,
    /// Its time is over.
    #[error("the access token has expired")]
    Expired,
}

impl AccessTokenError {
    /// A stable word for logs and metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::UnsupportedHeader => "unsupported_header",
            Self::WrongType => "wrong_type",
            Self::UnknownKey => "unknown_key",
            Self::AlgorithmMismatch => "algorithm_mismatch",
            Self::BadSignature => "bad_signature",
            Self::BadClaims => "bad_claims",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
        }
    }
}

/// Why no access token could be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The keyring has no access key.
    #[error("there is no key to sign access tokens with")]
    NoKey,
    /// The key does not sign.
    #[error("an access token could not be signed")]
    Signing(#[from] KeyError),
    /// The claims do not serialise.
    #[error("the claims of an access token could not be written")]
    Claims,
}

/// For whom a token is issued.
#[derive(Debug, Clone, Copy)]
pub struct Issuance<'a> {
    /// Whose token.
    pub user_id: UserId,
    /// The session that it belongs to.
    pub session_id: SessionId,
    /// How its user proved who she is.
    pub methods: &'a [AuthMethod],
    /// When she last did.
    pub authenticated_at: Timestamp,
    /// When the session ends in any case: no token of it is valid for longer.
    pub session_ends_at: Timestamp,
    /// Who acts with it as its user, where that is not her.
    pub impersonator: Option<Impersonator>,
    /// The roles that she has.
    pub access: &'a Access,
}

/// A fresh access token.
#[derive(Debug, Clone)]
pub struct IssuedAccessToken {
    /// The token.
    pub token: AccessToken,
    /// Its name, for the log.
    pub token_id: TokenId,
    /// When it ends; a whole second.
    pub expires_at: Timestamp,
}

/// Issues a token under the key that is current at `now`.
pub fn issue(
    keyring: &Keyring,
    config: &TokenConfig,
    issuance: Issuance<'_>,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<IssuedAccessToken, IssueError> {
    let key = keyring.current_access(now).ok_or(IssueError::NoKey)?;
    let token_id = TokenId::generate(now, entropy);
    let lifetime = if issuance.impersonator.is_some() { config.impersonation_lifetime } else { config.lifetime };
    let exp = (now + lifetime).min(issuance.session_ends_at).unix_seconds();
    let payload = serde_json::to_vec(&Written {
        iss: &config.issuer,
        sub: issuance.user_id,
        aud: &config.audience,
        client_id: CLIENT_ID,
        exp,
        iat: now.unix_seconds(),
        auth_time: issuance.authenticated_at.unix_seconds(),
        jti: token_id,
        sid: issuance.session_id,
        amr: amr(issuance.methods),
        acr: AssuranceLevel::of(issuance.methods).as_str(),
        act: issuance.impersonator.map(|acting| WrittenAct { sub: acting.user_id, sid: acting.session_id }),
        roles: WrittenRoles::of(issuance.access, now),
    })
    .map_err(|_| IssueError::Claims)?;
    let token = AccessToken::new(key.sign(&payload)?);
    Ok(IssuedAccessToken { token, token_id, expires_at: Timestamp::from_unix_seconds(exp) })
}

/// Verifies a token at `now`: length, form, header, key, algorithm, signature, claims, time, in this order. Whether its
/// session was revoked is another question, for [`RevokedSessions`](crate::token::RevokedSessions).
pub fn verify(keyring: &Keyring, config: &TokenConfig, token: &str, now: Timestamp) -> Result<AccessClaims, AccessTokenError> {
    let (claims, _) = verify_signed(keyring, config, token)?;
    claims.check_time(config, now)?;
    Ok(claims)
}

/// Verifies everything but the time, and tells the key as well.
pub(super) fn verify_signed<'k>(
    keyring: &'k Keyring,
    config: &TokenConfig,
    token: &str,
) -> Result<(AccessClaims, &'k AccessKey), AccessTokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(AccessTokenError::TooLong);
    }
    let compact = Compact::split(token).ok_or(AccessTokenError::Malformed)?;
    let key = header::select(compact.header, keyring)?;
    // SECURITY: nothing of the payload is read before the signature is known to be ours.
    if !compact.is_signed_by(key.verifying()) {
        return Err(AccessTokenError::BadSignature);
    }
    let payload = jws::decode(compact.payload).ok_or(AccessTokenError::Malformed)?;
    Ok((AccessClaims::read(&payload, config)?, key))
}

/// The methods, and `mfa` where a second one was asked for behind a first, or one was both (RFC 8176 §2).
fn amr(methods: &[AuthMethod]) -> Vec<&'static str> {
    let several = methods.len() > 1 && methods.iter().any(|method| method.is_second_factor());
    let several = several || methods.contains(&AuthMethod::Passkey);
    methods.iter().map(|method| method.as_str()).chain(several.then_some("mfa")).collect()
}
