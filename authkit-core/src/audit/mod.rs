//! The rules of the audit log: the canonical form of an event, the tree over a batch, the seal, and how events are written out.
//!
//! Pure rules: nothing here reads a store or a clock. The flows hand in events and seals.
//!
//! | file | what |
//! |---|---|
//! | [`canonical`] | the bytes that are hashed for an event, and its leaf |
//! | [`merkle`] | the root of a tree over leaves (RFC 9162) |
//! | [`sealing`] | what a seal states, its digest and its signature |
//! | [`record`] | an event and a seal as JSON, for exports, streams and APIs |
//! | [`reason`] | why something was refused, in plain words |

pub mod canonical;
pub mod merkle;
pub mod reason;
pub mod record;
pub mod sealing;

pub use record::{EventRecord, SealRecord};
