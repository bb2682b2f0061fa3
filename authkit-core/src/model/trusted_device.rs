//! Devices on which the owner of an account is asked for no second factor for a while.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::primitives::{DeviceName, Digest, Timestamp, TrustedDeviceId, UserAgent};

/// A device that was trusted by its user behind a second factor. It stands in for that factor at a login, and for nothing else:
/// a session that begins on it is one of the first factor alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedDevice {
    /// Names it to its owner; it is part of what the device holds.
    pub id: TrustedDeviceId,
    /// The SHA-256 of what the device holds, with its purpose.
    pub secret: Digest,
    /// The account's `auth_epoch` when it was trusted: a change of password or of factors ends the trust.
    pub auth_epoch: u32,
    /// What its user calls it.
    pub name: Option<DeviceName>,
    /// What it said that it is.
    pub user_agent: Option<UserAgent>,
    /// When it was trusted.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}

impl TrustedDevice {
    /// The most devices of an account: the longest trusted goes first.
    pub const MAX_DEVICES: usize = 10;

    /// Whether the trust holds at `now` for an account of this epoch.
    #[must_use]
    pub fn is_in_force(&self, auth_epoch: u32, now: Timestamp) -> bool {
        self.auth_epoch == auth_epoch && now < self.expires_at
    }

    /// Devices as text; `None` when there are none.
    #[must_use]
    pub fn to_stored(devices: &[Self]) -> Option<String> {
        if devices.is_empty() {
            return None;
        }
        let fields: Vec<Fields> = devices.iter().map(Fields::of).collect();
        // Text and numbers always serialise.
        serde_json::to_string(&fields).ok()
    }

    /// The devices of a text; `None` when it is none of this version of the library.
    #[must_use]
    pub fn from_stored(text: Option<&str>) -> Option<Vec<Self>> {
        let Some(text) = text else { return Some(Vec::new()) };
        let fields: Vec<Fields> = serde_json::from_str(text).ok()?;
        fields.into_iter().map(Fields::device).collect()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    id: TrustedDeviceId,
    secret: String,
    epoch: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    at: i64,
    until: i64,
}

impl Fields {
    fn of(device: &TrustedDevice) -> Self {
        Self {
            id: device.id,
            secret: URL_SAFE_NO_PAD.encode(device.secret.as_bytes()),
            epoch: device.auth_epoch,
            name: device.name.as_ref().map(|name| name.as_str().to_owned()),
            agent: device.user_agent.as_ref().map(|agent| agent.as_str().to_owned()),
            at: device.created_at.unix_micros(),
            until: device.expires_at.unix_micros(),
        }
    }

    fn device(self) -> Option<TrustedDevice> {
        Some(TrustedDevice {
            id: self.id,
            secret: Digest::from_bytes(URL_SAFE_NO_PAD.decode(self.secret).ok()?.try_into().ok()?),
            auth_epoch: self.epoch,
            name: self.name.map(DeviceName::from_stored),
            user_agent: self.agent.map(UserAgent::from_stored),
            created_at: Timestamp::from_unix_micros(self.at),
            expires_at: Timestamp::from_unix_micros(self.until),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_back_and_nothing_else_is_taken_for_them() {
        let bare = TrustedDevice {
            id: TrustedDeviceId::from_uuid(uuid::Uuid::from_u128(7)),
            secret: Digest::of(b"a secret"),
            auth_epoch: 3,
            name: None,
            user_agent: None,
            created_at: Timestamp::from_unix_micros(-1),
            expires_at: Timestamp::from_unix_micros(1_700_000_000_123_456),
        };
        let full = TrustedDevice {
            name: Some(DeviceName::from_stored("Zoë's \"phone\"".to_owned())),
            user_agent: UserAgent::from_header("curl/8"),
            ..bare.clone()
        };
        let devices = vec![bare, full];
        let text = TrustedDevice::to_stored(&devices).expect("there are some");
        assert_eq!(TrustedDevice::from_stored(Some(&text)), Some(devices));
        assert_eq!((TrustedDevice::to_stored(&[]), TrustedDevice::from_stored(None)), (None, Some(Vec::new())));
        for other in ["", "{}", "[{}]", &text[1..]] {
            assert_eq!(TrustedDevice::from_stored(Some(other)), None, "{other}");
        }
    }

    #[test]
    fn trust_ends_with_its_epoch_and_its_time() {
        let device = TrustedDevice {
            id: TrustedDeviceId::from_uuid(uuid::Uuid::from_u128(7)),
            secret: Digest::of(b"a secret"),
            auth_epoch: 3,
            name: None,
            user_agent: None,
            created_at: Timestamp::from_unix_seconds(0),
            expires_at: Timestamp::from_unix_seconds(10),
        };
        let at = Timestamp::from_unix_seconds;
        assert!(device.is_in_force(3, at(9)));
        assert!(!device.is_in_force(3, at(10)) && !device.is_in_force(4, at(9)) && !device.is_in_force(2, at(9)));
    }
}
