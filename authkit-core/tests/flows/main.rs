//! The use cases through the public face, on the store in memory, with a clock that stands still.

mod account;
mod account_cache;
mod audit;
mod audit_complete;
mod audit_stream;
mod authentication;
mod change_email;
mod faults;
mod guessing;
mod impersonation;
mod invitations;
mod keys;
mod limits;
mod links;
mod login;
mod mfa;
mod mfa_codes;
mod notices;
#[cfg(feature = "passkeys")]
// The authenticator in software signs with aws-lc.
#[cfg(all(feature = "passkeys", feature = "aws-lc-rs"))]
mod passkeys;
mod passwords;
mod refresh;
mod registration;
mod roles;
mod support;
