//! Why things are as they are: architecture and decisions, beside the code that they explain.
//!
//! - [`architecture`]: the floors of the library, and the life of a use case.
//! - [`refresh_tokens`]: one row per session, a derived successor, one lineage.
//! - [`revocation`]: how a logout is seen everywhere without a look-up per request.
//! - [`your_own_store`]: what a store has to promise, and how to show that it does.
//! - [`simulation`]: many nodes, everything that can go wrong, and a seed that repeats it.
//! - [`decisions`]: choices that could have gone another way.

pub mod architecture;
pub mod decisions;
pub mod refresh_tokens;
pub mod revocation;
pub mod simulation;
pub mod your_own_store;
