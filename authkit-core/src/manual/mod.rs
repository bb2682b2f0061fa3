//! Why things are as they are: architecture and decisions, beside the code that they explain.
//!
//! - [`administration`]: power over the accounts of others, and acting as somebody else.
//! - [`architecture`]: the floors of the library, and the life of a use case.
//! - [`refresh_tokens`]: one row per session, a derived successor, one lineage.
//! - [`guessing`]: how many wrong passwords are evaluated, and why nobody can be kept out by them.
//! - [`passwords`]: hashes of other systems, import, peppers, lists of known passwords.
//! - [`rate_limits`]: what is counted, by whom, and what a refusal costs.
//! - [`revocation`]: how a logout is seen everywhere without a look-up per request.
//! - [`mfa`]: what is asked for behind a first factor, and why there is no way around it.
//! - [`passkeys`]: what a signature proves, what it is bound to, and how often.
//! - [`failures`]: what happens when a part is away, and how it comes back.
//! - [`your_own_store`]: what a store has to promise, and how to show that it does.
//! - [`simulation`]: many nodes, everything that can go wrong, and a seed that repeats it.
//! - [`audit`]: what is recorded, why it can be believed, and what it cannot prove.
//! - [`decisions`]: choices that could have gone another way.

pub mod access_control;
pub mod administration;
pub mod architecture;
pub mod audit;
pub mod decisions;
pub mod failures;
pub mod guessing;
pub mod mail;
pub mod mfa;
#[cfg(feature = "passkeys")]
pub mod passkeys;
pub mod passwords;
pub mod rate_limits;
pub mod refresh_tokens;
pub mod revocation;
pub mod simulation;
pub mod your_own_store;
