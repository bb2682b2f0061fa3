//! Tokens: signed access tokens, rotating refresh tokens, and the keys behind both.
//!
//! Pure rules: nothing here reads a store, a clock or the operating system's randomness. A [`Keyring`] is an immutable
//! snapshot of the server's keys; the flows load one, swap it when keys rotate, and hand it in with the time.
//!
//! | file | what |
//! |---|---|
//! | [`key_material`] | makes keys, ready to be sealed and stored |
//! | [`access_key`], [`refresh_key`] | keys that were loaded and tried |
//! | [`seal_key`] | signs and verifies the seals of the audit log |
//! | [`keyring`] | which key is next, current, retired; what is published; when a new key is due |
//! | [`access`] | issues and verifies access tokens (RFC 9068) |
//! | [`verified`] | remembers what was verified |
//! | [`revoked`] | the sessions whose access tokens are void before they expire |
//! | [`one_time`] | mints and takes apart the tokens in links |
//! | [`refresh`] | mints, authenticates and derives refresh tokens |
//!
//! # The crate behind the signatures
//!
//! `jsonwebtoken` carries the keys (as JWKs), their thumbprints and, with the feature `rust-crypto`, every signature. With
//! `aws-lc-rs` the hot path calls that library directly with keys that were parsed once, because `jsonwebtoken` parses the
//! key anew for each token; each key must then pass `jsonwebtoken`'s own verification, from the JWK that is published,
//! before it is used.

#[cfg(all(feature = "aws-lc-rs", feature = "rust-crypto"))]
compile_error!("choose one signature backend: the features `aws-lc-rs` and `rust-crypto` of authkit-core exclude each other");
#[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
compile_error!("choose a signature backend: enable the feature `aws-lc-rs` (the default) or `rust-crypto` of authkit-core");

pub mod access;
pub mod access_key;
mod backend;
pub mod claims;
pub mod device;
mod header;
mod jwk;
mod jws;
pub mod key_material;
pub mod keyring;
pub mod one_time;
pub mod refresh;
pub mod refresh_key;
pub mod revoked;
pub mod roles;
pub mod seal_key;
pub mod verified;

#[cfg(test)]
mod tests;

pub use access::{AccessTokenError, Issuance, IssueError, IssuedAccessToken};
pub use access_key::AccessKey;
pub use claims::AccessClaims;
pub use device::KnownDevice;
pub use key_material::{KeyError, KeyMaterial};
pub use keyring::{DueKey, KeyState, Keyring};
pub use refresh::{Minted, PresentedRefreshToken, RefreshTokenError};
pub use refresh_key::RefreshKey;
pub use revoked::RevokedSessions;
pub use seal_key::{SealKey, SealVerifier};
pub use verified::{Verified, VerifiedTokens};
