//! Passkeys: what a browser is asked for, and what its answers prove (WebAuthn Level 3).
//!
//! The rules are here, and the signatures are checked by `webauthn-rs-core`. What is stored and what is committed is not known here.

mod ceremony;
mod options;
mod relying_party;
mod reply;
#[cfg(test)]
mod vectors;

pub use ceremony::{Ceremony, Challenge, user_handle};
pub use options::{CreationOptions, RequestOptions};
pub use relying_party::{NewKey, RelyingParty, RelyingPartyError, Used};
pub use reply::{AssertionReply, InvalidReply, RegistrationReply, ReplyError};
