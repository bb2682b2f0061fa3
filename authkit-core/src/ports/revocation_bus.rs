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

    /// The roles of somebody have changed, or what a role gives: read the store, soon.
    fn access_changed(&self) {}

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

    /// Tells the other nodes that roles have changed. What has changed they read from the store, so that a message can be lost, late,
    /// doubled or forged and gives nobody anything. The contract asks for it; a bus that does not carry it costs up to half a second
    /// until they look by themselves.
    async fn publish_access_change(&self) -> Result<(), BusError> {
        Ok(())
    }

    /// Registers the sink of this node; called once, before the first publish. The bus delivers until the sink is dropped.
    fn subscribe(&self, sink: Arc<dyn RevocationSink>);

    /// How well it works.
    fn health(&self) -> BusHealth;
}
