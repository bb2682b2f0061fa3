//! Revocation: how a logout is seen everywhere without a look-up per request.
//!
//! An access token is verified without I/O: its signature (once; after that it is found in a bounded cache), its time, and
//! whether its session is in the in-process set of sessions that were revoked within the last lifetime of an access token.
//! Anything older is refused for its age alone, so the set stays small.
//!
//! The set is filled from the store before a node serves its first request. After that three things keep it fresh:
//! - what this node commits is in its own set before the reply goes out;
//! - the [`RevocationBus`](crate::ports::RevocationBus) brings what other nodes commit, usually within milliseconds;
//! - twice a second the node reads from the store what was revoked since the last look, with an overlap for clocks that differ.
//!
//! So the bus is an accelerator: a message that is lost delays a logout by a second and never undoes it. When neither bus nor
//! store can be reached, [`AuthKit::health`](crate::AuthKit::health) says how old the set is.
