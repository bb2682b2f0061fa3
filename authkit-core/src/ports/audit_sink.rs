//! Handing the audit log on: to a file, to a collector, to whoever watches.

use std::error::Error;

use async_trait::async_trait;

use crate::model::AuditEvent;

/// The receiver did not take events; they are handed over again.
#[derive(Debug, thiserror::Error)]
#[error("the receiver of the audit log does not take events")]
pub struct AuditSinkError(#[source] Box<dyn Error + Send + Sync>);

impl AuditSinkError {
    /// With what went wrong, for the log.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// A receiver of the audit log outside.
///
/// **What is promised to it**: every event, at least once, a second or so after it is committed; in the order of their ids, but for
/// those that land later than events with greater ids. The id is what a receiver tells a repetition by: an event comes again after a
/// crash, after a change of nodes and after a failure. How far a receiver is stands in the store, under its name, so a receiver that
/// is new gets the whole log from its beginning. Of many nodes one hands over at a time.
///
/// **When it is down** nothing is lost and nobody waits: the log is in the store, the same events are tried again with growing pauses,
/// up to a minute, and another node tries when the one that did is longer than 20 seconds without success. Health says how far behind
/// the receiver is, and is degraded beyond five minutes.
#[async_trait]
pub trait AuditSink: std::fmt::Debug + Send + Sync {
    /// Names the receiver, the same on every node that hands over to it: how far it is, is kept under that. At most 512 bytes.
    fn name(&self) -> &str;

    /// Hands over events, at most 200, in their order. It returns within ten seconds, and only when the receiver has all of them as
    /// safely as it can promise; otherwise it fails, and all of them are handed over again, whatever it took of them.
    ///
    /// SECURITY: what is in an event came from outside in parts. Its details are made harmless where they are recorded; a sink writes
    /// them in a form that cannot be broken out of all the same.
    async fn deliver(&self, events: &[AuditEvent]) -> Result<(), AuditSinkError>;
}
