//! How the nodes tell one another that a session was revoked.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::Revocation;

/// The bus could not take a message.
#[derive(Debug, thiserror::Error)]
#[error("the revocation bus is unavailable")]
pub struct BusError(#[source] pub Box<dyn Error + Send + Sync>);

/// How well the bus works right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BusHealth {
    /// Messages arrive.
    Connected,
    /// Messages may be lost; the nodes learn of revocations by polling the store.
    Degraded,
}

/// Where a bus delivers what the other nodes published. Delivery twice is harmless.
pub trait RevocationSink: Send + Sync {
    /// These sessions were revoked.
    fn revoked(&self, revocations: &[Revocation]);

    /// Messages may have been lost: read the store again before the next second is over.
    fn gap(&self);
}

/// Carries revocations between nodes, fast and without a promise.
///
/// The store stays the truth: a node also reads revocations from it twice a second, so a lost message delays a revocation
/// and never undoes it. **When it is down** the health endpoint says so, nothing else changes, and no token revives.
#[async_trait]
pub trait RevocationBus: std::fmt::Debug + Send + Sync {
    /// Tells the other nodes. Delivery to the publishing node itself is allowed and not required.
    async fn publish(&self, revocations: &[Revocation]) -> Result<(), BusError>;

    /// Registers the sink of this node; called once, before the first publish. The bus delivers until the sink is dropped.
    fn subscribe(&self, sink: Arc<dyn RevocationSink>);

    /// How well it works.
    fn health(&self) -> BusHealth;
}
