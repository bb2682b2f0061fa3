//! The token that somebody holds between her first factor and her second, or between her first and the enrolment of one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::flows::engine::Engine;
use crate::model::{OneTimePurpose, OneTimeTokenWithUser, UserStatus};
use crate::primitives::entropy::random_bytes;
use crate::primitives::{Digest, MfaToken, OneTimeTokenId, Timestamp};

/// What every such token begins with, so that scanners of logs and repositories know it.
const PREFIX: &str = "ak_mfa_";

/// A fresh token: its id, its text, and the digest that is stored.
pub(crate) fn mint(engine: &Engine, purpose: OneTimePurpose, at: Timestamp) -> (OneTimeTokenId, MfaToken, Digest) {
    let id = OneTimeTokenId::generate(at, &*engine.entropy);
    let secret = random_bytes::<32>(&*engine.entropy);
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([id.as_uuid().as_bytes().as_slice(), &secret].concat()));
    (id, MfaToken::new(text), digest(purpose, id, &secret))
}

/// The id and the digest of a token as it was presented; `None` for anything else.
pub(crate) fn parse(token: &MfaToken, purpose: OneTimePurpose) -> Option<(OneTimeTokenId, Digest)> {
    let encoded = token.expose().strip_prefix(PREFIX).filter(|encoded| encoded.len() == 64)?;
    let bytes: [u8; 48] = URL_SAFE_NO_PAD.decode(encoded).ok()?.try_into().ok()?;
    let (id, secret) = bytes.split_first_chunk::<16>()?;
    let id = OneTimeTokenId::from_uuid(Uuid::from_bytes(*id));
    Some((id, digest(purpose, id, secret)))
}

/// Whether the challenge that a token names is its own, and nothing has changed about the account since it was made.
pub(crate) fn stands(found: &OneTimeTokenWithUser, secret: Digest, at: Timestamp) -> bool {
    found.token.secret == secret
        && at < found.token.expires_at
        && found.user.status == UserStatus::Active
        && found.user.auth_epoch == found.token.auth_epoch
}

/// SECURITY: the purpose is part of what is hashed, so that no token of another purpose can ever stand for this one.
fn digest(purpose: OneTimePurpose, id: OneTimeTokenId, secret: &[u8]) -> Digest {
    let purpose = purpose.as_str().as_bytes();
    Digest::of(&[b"authkit mfa token v1\0", purpose, b"\0", id.as_uuid().as_bytes(), secret].concat())
}
