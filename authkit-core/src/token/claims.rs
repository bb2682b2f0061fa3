//! The claims of an access token (RFC 9068 §2.2): written by us, read strictly.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::TokenConfig;
use crate::model::{Access, AssuranceLevel, AuthMethod, Impersonator};
use crate::primitives::{RoleName, SessionId, Timestamp, TokenId, UserId};
use crate::token::access::AccessTokenError;
use crate::token::roles::{self, ScopedRole, WrittenRoles};

/// The `client_id` of every token that this library issues to its own service (RFC 9068 §2.2): there is one client, itself.
pub const CLIENT_ID: &str = "authkit";

/// The deepest that a payload may nest. Ours nests two deep.
const MAX_DEPTH: usize = 16;

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const LAST_SECOND: i64 = 253_402_300_799;

/// What a verified access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessClaims {
    /// Whose token it is (`sub`).
    pub user_id: UserId,
    /// The session that it belongs to (`sid`).
    pub session_id: SessionId,
    /// Its own name (`jti`).
    pub token_id: TokenId,
    /// When it was issued (`iat`).
    pub issued_at: Timestamp,
    /// Before when it is not valid (`nbf`), where it says so.
    pub not_before: Option<Timestamp>,
    /// When it ends (`exp`).
    pub expires_at: Timestamp,
    /// When its user last proved who she is (`auth_time`).
    pub authenticated_at: Timestamp,
    /// How she did (`amr`). A method that this version does not know is left out.
    pub methods: Vec<AuthMethod>,
    /// Who acts with it as its user, where that is not her (`act`, RFC 8693 §4.1).
    pub impersonator: Option<Impersonator>,
    /// The roles of its user when it was issued (`roles`, `ak_acs`), those that had expired left out, and the version of her access
    /// (`ak_acv`). Who assigned them is not in the token: nobody, and the instant of issue. None in a token of an older version.
    pub access: Access,
}

impl AccessClaims {
    /// How sure it is who she is: what the methods are worth together.
    #[must_use]
    pub fn assurance(&self) -> AssuranceLevel {
        AssuranceLevel::of(&self.methods)
    }

    /// Whether the token is valid at `now`: RFC 7519 §4.1.4 to §4.1.6, with the configured leeway on both sides.
    pub(super) fn check_time(&self, config: &TokenConfig, now: Timestamp) -> Result<(), AccessTokenError> {
        let horizon = now + config.leeway;
        if self.issued_at > horizon || self.not_before.is_some_and(|not_before| not_before > horizon) {
            return Err(AccessTokenError::NotYetValid);
        }
        // SECURITY: a revocation is remembered, and a retired key kept, for the lifetime that is configured today. A token from
        // when it was longer must not outlive that, or it would come back to life when its revocation is forgotten.
        let lifetime = if self.impersonator.is_some() { config.impersonation_lifetime } else { config.lifetime };
        let ends_at = self.expires_at.min(self.issued_at + lifetime);
        // "on or after which the JWT MUST NOT be accepted"
        if now >= ends_at + config.leeway { Err(AccessTokenError::Expired) } else { Ok(()) }
    }

    /// Reads a payload whose signature was verified, and checks issuer and audience.
    pub(super) fn read(json: &[u8], config: &TokenConfig) -> Result<Self, AccessTokenError> {
        if nests_deeper_than(json, MAX_DEPTH) {
            return Err(AccessTokenError::BadClaims);
        }
        let claims: Received<'_> = serde_json::from_slice(json).map_err(|_| AccessTokenError::BadClaims)?;
        if claims.iss != config.issuer {
            return Err(AccessTokenError::WrongIssuer);
        }
        if !claims.aud.contains(&config.audience) {
            return Err(AccessTokenError::WrongAudience);
        }
        Ok(Self {
            user_id: claims.sub.parse().map_err(|_| AccessTokenError::BadClaims)?,
            session_id: claims.sid.parse().map_err(|_| AccessTokenError::BadClaims)?,
            token_id: claims.jti.parse().map_err(|_| AccessTokenError::BadClaims)?,
            issued_at: claims.iat.0,
            not_before: claims.nbf.map(|date| date.0),
            expires_at: claims.exp.0,
            authenticated_at: claims.auth_time.0,
            methods: claims.amr.0,
            impersonator: claims.act.as_ref().map(Act::read).transpose()?,
            access: roles::read(claims.roles, claims.ak_acs, claims.ak_acv, claims.iat.0).ok_or(AccessTokenError::BadClaims)?,
        })
    }
}

/// The claims as we write them.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    pub(super) iss: &'a str,
    pub(super) sub: UserId,
    pub(super) aud: &'a str,
    pub(super) client_id: &'a str,
    pub(super) exp: i64,
    pub(super) iat: i64,
    pub(super) auth_time: i64,
    pub(super) jti: TokenId,
    pub(super) sid: SessionId,
    pub(super) amr: Vec<&'static str>,
    pub(super) acr: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) act: Option<WrittenAct>,
    #[serde(flatten)]
    pub(super) roles: WrittenRoles<'a>,
}

/// The `act` claim as we write it: who acts, and in which session she asked for it.
#[derive(Serialize)]
pub(super) struct WrittenAct {
    pub(super) sub: UserId,
    pub(super) sid: SessionId,
}

/// The claims as we read them.
///
/// SECURITY: a required claim that is missing, of another type or there twice fails the whole token; nothing is skipped because
/// it does not parse (CVE-2026-25537). Claims that we do not know are ignored, as RFC 7519 §4 wants.
#[derive(Deserialize)]
struct Received<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    #[serde(borrow)]
    aud: Audience<'a>,
    exp: NumericDate,
    iat: NumericDate,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<NumericDate>,
    auth_time: NumericDate,
    #[serde(borrow)]
    jti: Cow<'a, str>,
    #[serde(borrow)]
    sid: Cow<'a, str>,
    amr: Methods,
    #[serde(borrow, default, deserialize_with = "present")]
    act: Option<Act<'a>>,
    #[serde(rename = "client_id", borrow)]
    _client_id: Cow<'a, str>,
    #[serde(default)]
    roles: Vec<RoleName>,
    #[serde(default)]
    ak_acv: u32,
    #[serde(default)]
    ak_acs: Vec<ScopedRole>,
}

/// The `act` claim as we read it.
///
/// SECURITY: a member that we do not know fails the token. An actor who is acted for in turn (RFC 8693 §4.1) would be one, and nobody
/// here acts for anybody who acts for somebody else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Act<'a> {
    #[serde(borrow)]
    sub: Cow<'a, str>,
    #[serde(borrow)]
    sid: Cow<'a, str>,
}

impl Act<'_> {
    fn read(&self) -> Result<Impersonator, AccessTokenError> {
        let user_id = self.sub.parse().map_err(|_| AccessTokenError::BadClaims)?;
        let session_id = self.sid.parse().map_err(|_| AccessTokenError::BadClaims)?;
        Ok(Impersonator { user_id, session_id })
    }
}

/// A claim that may be absent, but not `null`.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Whole seconds since the epoch, from 1970 to 9999. RFC 7519 §2 allows fractions; no issuer of ours writes them.
struct NumericDate(Timestamp);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = i64::deserialize(deserializer)?;
        if (0..=LAST_SECOND).contains(&seconds) {
            Ok(Self(Timestamp::from_unix_seconds(seconds)))
        } else {
            Err(D::Error::custom("a date out of range"))
        }
    }
}

/// A text that borrows from the payload where nothing in it was escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// One audience or several, but not none (RFC 7519 §4.1.3).
enum Audience<'a> {
    One(Cow<'a, str>),
    Several(Vec<Text<'a>>),
}

impl Audience<'_> {
    fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one.0 == audience),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Audience<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;

        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = Audience<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Audience::One(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Audience::One(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut several = Vec::new();
                while let Some(one) = seq.next_element()? {
                    several.push(one);
                }
                if several.is_empty() { Err(A::Error::custom("no audience")) } else { Ok(Audience::Several(several)) }
            }
        }

        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// Authentication methods (RFC 8176).
struct Methods(Vec<AuthMethod>);

impl<'de> Deserialize<'de> for Methods {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Known;

        impl<'de> Visitor<'de> for Known {
            type Value = Methods;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of strings")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Methods, A::Error> {
                let mut methods = Vec::new();
                while let Some(Text(name)) = seq.next_element()? {
                    methods.extend(AuthMethod::from_name(&name));
                }
                Ok(Methods(methods))
            }
        }

        deserializer.deserialize_seq(Known)
    }
}

/// Whether brackets outside of strings nest deeper than `limit`. It need not know whether the text is JSON at all.
fn nests_deeper_than(json: &[u8], limit: usize) -> bool {
    // With so few brackets it cannot, and counting them is far cheaper than following them.
    if json.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() <= limit {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}
