//! Devices on which the owner of an account is asked for no second factor for a while.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::flows::engine::{Engine, Internal};
use crate::flows::factor_check;
use crate::model::{Factors, RequestContext, TrustedDevice, User};
use crate::primitives::entropy::random_bytes;
use crate::primitives::{DeviceName, Digest, Timestamp, TrustToken, TrustedDeviceId};

/// What every such token begins with, so that scanners of logs and repositories know it.
const PREFIX: &str = "ak_trust_";

/// Adds a device to those that are trusted, and returns what it has to show. What is not in force any more goes, and beyond the most
/// that there may be the longest trusted.
pub(crate) fn add(
    engine: &Engine,
    user: &User,
    factors: &mut Factors,
    name: Option<DeviceName>,
    context: &RequestContext,
    at: Timestamp,
) -> (TrustedDeviceId, TrustToken) {
    let id = TrustedDeviceId::generate(at, &*engine.entropy);
    let secret = random_bytes::<32>(&*engine.entropy);
    let devices = &mut factors.trusted_devices;
    devices.retain(|device| device.is_in_force(user.auth_epoch, at));
    let too_many = (devices.len() + 1).saturating_sub(TrustedDevice::MAX_DEVICES);
    devices.drain(..too_many);
    devices.push(TrustedDevice {
        id,
        secret: digest(user, id, &secret),
        auth_epoch: user.auth_epoch,
        name,
        user_agent: context.client.user_agent.clone(),
        created_at: at,
        expires_at: at + engine.config.mfa.trust_lifetime,
    });
    let text = URL_SAFE_NO_PAD.encode([id.as_uuid().as_bytes().as_slice(), &secret].concat());
    (id, TrustToken::new(format!("{PREFIX}{text}")))
}

/// The device of a token, if the account trusts it now: after the first factor, and only where a second is in force.
pub(crate) async fn trusted(
    engine: &Engine,
    user: &User,
    token: Option<&TrustToken>,
    at: Timestamp,
) -> Result<Option<TrustedDeviceId>, Internal> {
    let Some((id, secret)) = token.filter(|_| !user.second_factors.is_empty()).and_then(parse) else { return Ok(None) };
    let factors = factor_check::read(engine, user.id).await?;
    let held = factors.trusted_devices.iter().find(|device| device.id == id);
    // SECURITY: the account is part of what is hashed, and its epoch of what is compared: a device of another account, and one of
    // before a change of password or of factors, stand for nothing.
    let holds = |device: &&TrustedDevice| device.secret == digest(user, id, &secret) && device.is_in_force(user.auth_epoch, at);
    Ok(held.filter(holds).map(|device| device.id))
}

fn parse(token: &TrustToken) -> Option<(TrustedDeviceId, [u8; 32])> {
    let encoded = token.expose().strip_prefix(PREFIX).filter(|encoded| encoded.len() == 64)?;
    let bytes: [u8; 48] = URL_SAFE_NO_PAD.decode(encoded).ok()?.try_into().ok()?;
    let (id, secret) = bytes.split_first_chunk::<16>()?;
    Some((TrustedDeviceId::from_uuid(Uuid::from_bytes(*id)), secret.try_into().ok()?))
}

fn digest(user: &User, id: TrustedDeviceId, secret: &[u8]) -> Digest {
    Digest::of(
        &[b"authkit trusted device v1\0", user.id.as_uuid().as_bytes().as_slice(), id.as_uuid().as_bytes(), secret].concat(),
    )
}
