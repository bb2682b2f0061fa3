//! The revocation bus of a single process.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;

use crate::model::Revocation;
use crate::ports::revocation_bus::{BusError, BusHealth, RevocationBus, RevocationSink};

/// Carries revocations between the handles of one process, at once and without loss.
///
/// Several handles on one bus are several nodes to each other, which is how a test plays a cluster.
#[derive(Default)]
pub struct LocalRevocationBus {
    sinks: Mutex<Vec<Weak<dyn RevocationSink>>>,
}

impl LocalRevocationBus {
    /// A bus without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The sinks that are still alive; the others are forgotten on the way.
    fn alive(&self) -> Vec<Arc<dyn RevocationSink>> {
        let mut sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        sinks.retain(|sink| sink.strong_count() > 0);
        sinks.iter().filter_map(Weak::upgrade).collect()
    }
}

impl fmt::Debug for LocalRevocationBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRevocationBus").finish_non_exhaustive()
    }
}

#[async_trait]
impl RevocationBus for LocalRevocationBus {
    async fn publish(&self, revocations: &[Revocation]) -> Result<(), BusError> {
        // The lock is gone by the time a sink runs, so a sink may subscribe or publish itself.
        for sink in self.alive() {
            sink.revoked(revocations);
        }
        Ok(())
    }

    async fn publish_access_change(&self) -> Result<(), BusError> {
        self.alive().iter().for_each(|sink| sink.access_changed());
        Ok(())
    }

    fn subscribe(&self, sink: Arc<dyn RevocationSink>) {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&sink));
    }

    fn health(&self) -> BusHealth {
        BusHealth::Connected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::{SessionId, Timestamp};

    #[derive(Default)]
    struct Heard(Mutex<Vec<Revocation>>);

    impl RevocationSink for Heard {
        fn revoked(&self, revocations: &[Revocation]) {
            self.0.lock().unwrap().extend_from_slice(revocations);
        }

        fn gap(&self) {}
    }

    #[tokio::test]
    async fn every_subscriber_hears_every_revocation_until_it_is_dropped() {
        let bus = LocalRevocationBus::new();
        let (first, second) = (Arc::new(Heard::default()), Arc::new(Heard::default()));
        bus.subscribe(first.clone());
        bus.subscribe(second.clone());
        let revocation = |n| Revocation { session_id: SessionId::from_uuid(uuid::Uuid::from_u128(n)), at: Timestamp::UNIX_EPOCH };
        bus.publish(&[revocation(1), revocation(2)]).await.unwrap();
        drop(second);
        bus.publish(&[revocation(3)]).await.unwrap();

        assert_eq!(*first.0.lock().unwrap(), [revocation(1), revocation(2), revocation(3)]);
        assert_eq!(bus.alive().len(), 1, "a dropped sink is forgotten");
        assert_eq!(bus.health(), BusHealth::Connected);
    }
}
