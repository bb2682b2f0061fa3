//! Settings of passkeys.

use std::time::Duration;

/// Settings of passkeys.
///
/// What a passkey is bound to comes from here and from nowhere else: never from a header of a request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PasskeyConfig {
    /// The RP ID: the domain that passkeys are made for. Default `None`: the host of the issuer, and `localhost` where that is a
    /// loopback address.
    ///
    /// It can be a parent domain of every origin (`example.com` for `https://login.example.com`), so that a passkey serves them all.
    /// It can never be changed without making every passkey useless.
    pub rp_id: Option<String>,
    /// What the service is called while a passkey is made. Default `None`: the RP ID.
    pub rp_name: Option<String>,
    /// The origins that passkeys may be used at, beside the issuer's own: `https://app.example.com`, `http://localhost:3000`, or of an
    /// app `android:apk-key-hash:…`. Default none.
    pub origins: Vec<String>,
    /// How long a challenge can be answered. Default 5 minutes, and never more (WebAuthn Level 3 §15.1).
    pub challenge_lifetime: Duration,
    /// How many passkeys an account may have. Default 20: a person has a handful of devices, and a list must stay one that she
    /// can look through.
    pub per_account: u32,
}

impl Default for PasskeyConfig {
    fn default() -> Self {
        Self { rp_id: None, rp_name: None, origins: Vec::new(), challenge_lifetime: Duration::from_mins(5), per_account: 20 }
    }
}
