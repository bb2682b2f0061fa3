//! AuthKit is authentication for a Rust application: accounts, sessions, tokens and passwords behind one handle.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use authkit_core::{AuthKit, Config, Email, Login, Password, Registration, RequestContext};
//!
//! let auth = AuthKit::builder(Config::new("https://app.example")).in_memory().build().await?;
//! let request = RequestContext::default();
//! let (email, password) = (Email::parse("jane@example.com")?, Password::parse("SecurePass123")?);
//!
//! auth.accounts().register(Registration::new(email.clone(), password.clone()), &request).await?;
//! let jane = auth.sessions().log_in(Login::new(email, password), &request).await?;
//! let principal = auth.authenticate(jane.tokens.access_token.expose())?;
//! assert_eq!(principal.user_id(), jane.user.id);
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! Accounts and sessions live in a [`Store`](ports::Store): `authkit-sqlx` has one, and whoever writes another holds it
//! against [`store_contract!`]. Start at [`AuthKit`]; the [`manual`] says why things are as they are.
//!
//! # Features
//! - `aws-lc-rs` (default) or `rust-crypto`: what signs and verifies access tokens. Exactly one of them.
//! - `passkeys`: passkeys (WebAuthn), as a first factor and as a second.
//! - `testkit`: the store contract, a frozen clock, seeded randomness and fault injection, for tests.

#[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
compile_error!("authkit-core needs one of the features `aws-lc-rs` (default) and `rust-crypto`");
#[cfg(all(feature = "aws-lc-rs", feature = "rust-crypto"))]
compile_error!(
    "authkit-core takes only one of the features `aws-lc-rs` and `rust-crypto`: use default-features = false with the second"
);

pub mod audit;
mod authkit;
pub mod builder;
pub mod config;
pub mod embedded;
mod error;
pub mod flows;
pub mod manual;
pub mod mfa;
pub mod model;
#[cfg(feature = "passkeys")]
pub mod passkey;
pub mod password;
pub mod ports;
pub mod primitives;
pub mod rbac;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod token;

#[cfg(feature = "passkeys")]
pub use authkit::Passkeys;
pub use authkit::{Accounts, Administration, Audit, AuthKit, Keys, Mfa, Roles, Sessions};
pub use authkit::{Links, Outbox};
pub use builder::{BuildError, Builder};
pub use config::Config;
pub use embedded::LocalKeyCustody;
pub use error::{Error, ErrorKind};
pub use flows::{
    LoggedIn, Login, PasswordChange, Planned, Principal, ProfileUpdate, Refreshed, Registration, TokenPair, TokenReply,
};
pub use model::RequestContext;
pub use primitives::*;
