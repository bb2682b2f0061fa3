//! The contract of [`RevocationBus`]: what every implementation promises.
//!
//! ```
//! use std::sync::Arc;
//!
//! use authkit_core::embedded::LocalRevocationBus;
//! use authkit_core::testkit::bus_contract::FreshBus;
//!
//! async fn fresh_bus() -> FreshBus {
//!     let bus = Arc::new(LocalRevocationBus::new());
//!     FreshBus::new([bus.clone(), bus])
//! }
//!
//! authkit_core::revocation_bus_contract!(fresh_bus);
//! # fn main() {}
//! ```
//!
//! A bus over a network also shows what it does when that fails: give the bus a way to fail with [`FreshBus::failing_with`] and
//! write `revocation_bus_contract!(fresh_bus, with outages)`.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::model::Revocation;
use crate::ports::{BusHealth, RevocationBus, RevocationSink};
use crate::primitives::{SessionId, Timestamp};
use crate::testkit::Outage;

/// How long something may take that takes a moment: a heartbeat, a reconnection, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a publish without the service may cost at most: several times what is promised, on a busy machine.
const FAST: Duration = Duration::from_millis(500);

/// The buses of two nodes, which hear each other and nobody else.
pub struct FreshBus {
    nodes: [Arc<dyn RevocationBus>; 2],
    outage: Option<Box<dyn Outage>>,
    _guard: Option<Box<dyn Any + Send + Sync>>,
}

impl FreshBus {
    /// The buses of two nodes; for nodes of one process they may be one bus.
    #[must_use]
    pub fn new(nodes: [Arc<dyn RevocationBus>; 2]) -> Self {
        Self { nodes, outage: None, _guard: None }
    }

    /// Says how the service behind both fails.
    #[must_use]
    pub fn failing_with(mut self, outage: impl Outage + 'static) -> Self {
        self.outage = Some(Box::new(outage));
        self
    }

    /// Keeps something alive for as long as the buses.
    #[must_use]
    pub fn keeping(self, guard: impl Any + Send + Sync) -> Self {
        Self { _guard: Some(Box::new(guard)), ..self }
    }

    /// What the sinks of both nodes hear, once both listen.
    async fn listen(&self) -> [Arc<Heard>; 2] {
        let heard = [Arc::new(Heard::default()), Arc::new(Heard::default())];
        for (bus, heard) in self.nodes.iter().zip(&heard) {
            bus.subscribe(heard.clone());
        }
        for bus in &self.nodes {
            eventually("a bus that is connected", || bus.health() == BusHealth::Connected).await;
        }
        heard
    }

    fn outage(&mut self) -> Box<dyn Outage> {
        self.outage.take().expect("a bus that can fail: FreshBus::failing_with")
    }
}

impl fmt::Debug for FreshBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreshBus").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

/// A sink without a store behind it: what it knows came over the bus.
#[derive(Default)]
struct Heard {
    revocations: Mutex<Vec<Revocation>>,
    gaps: AtomicUsize,
    looks: AtomicUsize,
}

impl Heard {
    fn has(&self, revocation: Revocation) -> bool {
        self.revocations.lock().unwrap_or_else(PoisonError::into_inner).contains(&revocation)
    }

    fn gaps(&self) -> usize {
        self.gaps.load(Ordering::SeqCst)
    }
}

impl RevocationSink for Heard {
    fn revoked(&self, revocations: &[Revocation]) {
        self.revocations.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(revocations);
    }

    fn access_changed(&self) {
        self.looks.fetch_add(1, Ordering::SeqCst);
    }

    fn gap(&self) {
        self.gaps.fetch_add(1, Ordering::SeqCst);
    }
}

fn revocation(n: u128) -> Revocation {
    Revocation { session_id: SessionId::from_uuid(Uuid::from_u128(n)), at: Timestamp::from_unix_seconds(1_700_000_000) }
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come within {PATIENCE:?}");
        sleep(Duration::from_millis(1)).await;
    }
}

/// Publishes on one bus until it is heard on the other.
async fn flows(bus: &dyn RevocationBus, heard: &Heard, n: u128) {
    bus.publish(&[revocation(n)]).await.expect("a bus that works takes a message");
    eventually("the revocation", || heard.has(revocation(n))).await;
}

#[doc(hidden)]
pub async fn every_node_hears_what_another_publishes(bus: FreshBus) {
    let [one, two] = bus.listen().await;
    flows(&*bus.nodes[0], &two, 1).await;
    flows(&*bus.nodes[1], &one, 2).await;
    assert!(!two.has(revocation(3)), "and nothing else");
}

#[doc(hidden)]
pub async fn every_sink_of_a_node_hears(bus: FreshBus) {
    let [_one, first] = bus.listen().await;
    let second = Arc::new(Heard::default());
    bus.nodes[1].subscribe(second.clone());
    flows(&*bus.nodes[0], &second, 1).await;
    eventually("the other sink's revocation", || first.has(revocation(1))).await;
}

#[doc(hidden)]
pub async fn one_publish_carries_many_revocations(bus: FreshBus) {
    let [_one, two] = bus.listen().await;
    let many: Vec<_> = (1..=5_000).map(revocation).collect();
    bus.nodes[0].publish(&many).await.expect("a bus that works takes many");
    flows(&*bus.nodes[0], &two, 10_000).await;
    eventually("every one of many", || two.revocations.lock().unwrap_or_else(PoisonError::into_inner).len() >= many.len()).await;
    let heard = two.revocations.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(heard.iter().filter(|heard| many.contains(heard)).count(), many.len(), "each came once, as it was sent");
}

#[doc(hidden)]
pub async fn every_node_is_told_to_look_when_roles_changed(bus: FreshBus) {
    let [_one, two] = bus.listen().await;
    let looks = || two.looks.load(Ordering::SeqCst);
    flows(&*bus.nodes[0], &two, 1).await;
    assert_eq!(looks(), 0, "a revocation is no change of roles");
    for before in 0..3 {
        bus.nodes[0].publish_access_change().await.expect("a bus that works takes a message");
        eventually("the look", || looks() > before).await;
    }
    let heard = two.revocations.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(*heard, [revocation(1)], "and it revokes nothing");
}

#[doc(hidden)]
pub async fn publishing_nothing_tells_nobody_anything(bus: FreshBus) {
    let [_one, two] = bus.listen().await;
    bus.nodes[0].publish(&[]).await.expect("nothing is taken");
    flows(&*bus.nodes[0], &two, 1).await;
    let heard = two.revocations.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(*heard, [revocation(1)]);
}

#[doc(hidden)]
pub async fn a_dropped_sink_ends_and_the_others_hear_on(bus: FreshBus) {
    let [_one, two] = bus.listen().await;
    let gone = Arc::new(Heard::default());
    bus.nodes[1].subscribe(gone.clone());
    flows(&*bus.nodes[0], &gone, 1).await;
    let watched = Arc::downgrade(&gone);
    drop(gone);
    eventually("the end of the sink", || watched.strong_count() == 0).await;
    flows(&*bus.nodes[0], &two, 2).await;
}

#[doc(hidden)]
pub async fn an_outage_fails_publishes_fast_and_health_tells(mut bus: FreshBus) {
    let _heard = bus.listen().await;
    let mut outage = bus.outage();
    outage.begin().await;
    bus.nodes[0].publish(&[revocation(1)]).await.expect_err("nothing carries it");
    for n in 2..20 {
        let start = Instant::now();
        bus.nodes[0].publish(&[revocation(n)]).await.expect_err("nothing carries it");
        assert!(start.elapsed() < FAST, "a publish without the service took {:?}", start.elapsed());
        assert_eq!(bus.nodes[0].health(), BusHealth::Degraded);
        sleep(Duration::from_millis(50)).await;
    }
    eventually("the other node's notice", || bus.nodes[1].health() == BusHealth::Degraded).await;
}

#[doc(hidden)]
pub async fn an_outage_ends_by_itself_with_a_gap(mut bus: FreshBus) {
    let [one, two] = bus.listen().await;
    flows(&*bus.nodes[0], &two, 1).await;
    let mut outage = bus.outage();
    outage.begin().await;
    for bus in &bus.nodes {
        eventually("the notice", || bus.health() == BusHealth::Degraded).await;
    }
    let gaps = [one.gaps(), two.gaps()];
    outage.end().await;
    for (bus, (heard, before)) in bus.nodes.iter().zip([&one, &two].into_iter().zip(gaps)) {
        eventually("the return", || bus.health() == BusHealth::Connected).await;
        eventually("the gap", || heard.gaps() > before).await;
    }
    flows(&*bus.nodes[0], &two, 2).await;
    flows(&*bus.nodes[1], &one, 3).await;
}

/// Makes one test of each promise; see [`bus_contract`](crate::testkit::bus_contract).
#[macro_export]
macro_rules! revocation_bus_contract {
    ($fresh_bus:expr) => {
        $crate::__bus_promises! { revocation_bus_contract $fresh_bus =>
            every_node_hears_what_another_publishes
            every_sink_of_a_node_hears
            one_publish_carries_many_revocations
            every_node_is_told_to_look_when_roles_changed
            publishing_nothing_tells_nobody_anything
            a_dropped_sink_ends_and_the_others_hear_on
        }
    };
    ($fresh_bus:expr, with outages) => {
        $crate::revocation_bus_contract! { $fresh_bus }
        $crate::__bus_promises! { revocation_bus_outages $fresh_bus =>
            an_outage_fails_publishes_fast_and_health_tells
            an_outage_ends_by_itself_with_a_gap
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __bus_promises {
    ($group:ident $fresh_bus:expr => $($promise:ident)*) => {
        mod $group {
            use super::*;

            $(#[test]
            fn $promise() {
                use $crate::testkit::{bus_contract, outage};
                outage::block_on(async { bus_contract::$promise($fresh_bus().await).await });
            })*
        }
    };
}
