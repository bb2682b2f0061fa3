//! The audit log is handed on: at least once, within a look, by one node at a time, whatever fails in between.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use authkit_core::embedded::MemoryStore;
use authkit_core::flows::AuditStreamError;
use authkit_core::model::{AuditAction, AuditEvent, AuditFilter, ChangeSet};
use authkit_core::ports::{AuditSink, AuditSinkError, Store};
use authkit_core::testkit::{AuditReceiver, Fault, FaultyStore, Fixtures, Gate, Method, SeededEntropy};
use authkit_core::{AuditEventId, AuthKit, Entropy, PageLimit, PageRequest, Timestamp};

use crate::support::{World, log_in, register};

/// A node that hands on to a receiver when it is told to, and does nothing by itself.
async fn node(world: &World, sink: &AuditReceiver) -> AuthKit {
    let builder = world.unjoined(world.config.clone()).audit_sink(Arc::new(sink.clone()));
    builder.build_unattended().await.expect("builds")
}

/// Appends an event of an instant, whatever the clock shows.
async fn append(store: &dyn Store, fixtures: &Fixtures, at: Timestamp) -> AuditEvent {
    let tail = fixtures.user().id.as_uuid().as_u128() & 0xffff_ffff_ffff;
    let id = AuditEventId::from_uuid(uuid::Uuid::from_u128(AuditEventId::first_of(at).as_uuid().as_u128() | tail));
    let event = AuditEvent { id, at, ..fixtures.event(fixtures.user().id) };
    store.commit(&ChangeSet::new().and(event.clone())).await.expect("commits");
    event
}

/// Every event there is, in the order of the ids.
async fn log(store: &dyn Store) -> Vec<AuditEventId> {
    let filter = AuditFilter::new().oldest_first();
    let (mut ids, mut page) = (Vec::new(), PageRequest { limit: PageLimit::new(200).expect("in range"), cursor: None });
    loop {
        let read = store.audit_events(&filter, page).await.expect("reads");
        ids.extend(read.items.iter().map(|event| event.id));
        page.cursor = read.next;
        if page.cursor.is_none() {
            return ids;
        }
    }
}

async fn hand_on(auth: &AuthKit) -> usize {
    auth.audit().hand_on().await.expect("hands on")
}

#[track_caller]
fn assert_nothing_is_missing(receiver: &AuditReceiver, log: &[AuditEventId], what: impl std::fmt::Debug) {
    let got: BTreeSet<AuditEventId> = receiver.ids().into_iter().collect();
    let missing: Vec<_> = log.iter().filter(|id| !got.contains(id)).collect();
    assert!(missing.is_empty(), "{what:?}: {} of {} are missing: {missing:?}", missing.len(), log.len());
}

/// Everything, and nothing twice. Events of one instant are in no order.
async fn assert_complete(receiver: &AuditReceiver, store: &dyn Store, what: &str) {
    let mut ids = receiver.ids();
    ids.sort();
    assert_eq!(ids, log(store).await, "{what}");
}

#[tokio::test]
async fn an_event_is_outside_at_the_next_look_and_once() {
    let world = World::new();
    let receiver = AuditReceiver::new("memory:");
    let auth = node(&world, &receiver).await;
    register(&auth).await;
    assert!(hand_on(&auth).await >= 2);
    assert_eq!(receiver.ids(), log(&*world.store).await, "in order, all of it");
    assert!(receiver.events().iter().any(|event| event.action == AuditAction::AccountRegistered));
    for _ in 0..40 {
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(hand_on(&auth).await, 0, "once");
    }
    log_in(&auth).await;
    assert_eq!(hand_on(&auth).await, 1);
    // The seal comes, and knows all of them.
    world.clock.advance(Duration::from_secs(91));
    assert!(auth.audit().seal().await.expect("seals").events >= 3);
    assert_eq!(hand_on(&auth).await, 0, "sealed later, handed on before");
    let stream = world.store.audit_stream("memory:").await.expect("reads").expect("a position");
    assert_eq!(stream.position, 1);
    let health = auth.health().await.audit_stream.expect("a stream");
    assert!(health.is_here && !health.is_failing && health.behind == Duration::ZERO && health.failures == 0, "{health:?}");
    assert_eq!(health.delivered, receiver.ids().len() as u64);
}

#[tokio::test]
async fn what_lands_late_is_handed_on_all_the_same() {
    let world = World::new();
    let receiver = AuditReceiver::new("memory:");
    let auth = node(&world, &receiver).await;
    register(&auth).await;
    hand_on(&auth).await;
    let fixtures = Fixtures::new(1);
    world.clock.advance(Duration::from_mins(1));
    append(&*world.store, &fixtures, world.clock_now()).await;
    assert_eq!(hand_on(&auth).await, 1);
    // A moment late, and longer than a transaction takes.
    append(&*world.store, &fixtures, world.clock_now() - Duration::from_secs(3)).await;
    assert_eq!(hand_on(&auth).await, 1);
    append(&*world.store, &fixtures, world.clock_now() - Duration::from_secs(30)).await;
    let mut found = 0;
    for _ in 0..10 {
        found += hand_on(&auth).await;
    }
    assert_eq!(found, 1, "every tenth look goes further back");
    // Later than any look goes back, and behind a seal: the next seal has it.
    world.clock.advance(Duration::from_secs(91));
    auth.audit().seal().await.expect("seals");
    hand_on(&auth).await;
    let late = append(&*world.store, &fixtures, world.clock_now() - Duration::from_mins(3)).await;
    for _ in 0..20 {
        assert_eq!(hand_on(&auth).await, 0);
    }
    assert_eq!(auth.audit().seal().await.expect("seals").late, 1);
    assert_eq!(hand_on(&auth).await, 1);
    assert_eq!(receiver.ids().last(), Some(&late.id));
    assert_eq!(receiver.ids().len(), log(&*world.store).await.len(), "and none twice");
}

#[tokio::test]
async fn a_receiver_that_is_down_loses_nothing_and_health_says_so() {
    let world = World::new();
    let receiver = AuditReceiver::new("memory:");
    let auth = node(&world, &receiver).await;
    hand_on(&auth).await;
    world.tick();
    receiver.set_down(true);
    register(&auth).await;
    for _ in 0..9 {
        let failed = auth.audit().hand_on().await;
        assert!(matches!(failed, Err(AuditStreamError::Sink(_))), "{failed:?}");
        world.clock.advance(Duration::from_mins(1));
        auth.audit().seal().await.expect("seals");
        // Nobody waits for it.
        log_in(&auth).await;
    }
    let health = auth.health().await;
    let stream = health.audit_stream.expect("a stream");
    assert!(stream.is_failing && stream.behind >= Duration::from_mins(8) && stream.failures == 9, "{stream:?}");
    assert!(health.is_audit_late() && health.is_degraded() && health.is_ready(), "it serves");
    receiver.set_down(false);
    hand_on(&auth).await;
    assert_eq!(receiver.ids(), log(&*world.store).await, "in order, each once");
    let health = auth.health().await;
    assert!(!health.is_audit_late() && health.audit_stream.is_some_and(|stream| stream.behind.is_zero() && !stream.is_failing));
    // Down in the middle of many: what it took, it is not given again; what it refused, it is.
    let fixtures = Fixtures::new(2);
    for _ in 0..900 {
        append(&*world.store, &fixtures, world.clock_now()).await;
    }
    receiver.fail_after(2);
    auth.audit().hand_on().await.expect_err("fails in the middle");
    receiver.set_down(false);
    hand_on(&auth).await;
    let ids = receiver.ids();
    assert_eq!(ids.len(), log(&*world.store).await.len());
}

#[tokio::test]
async fn a_crash_at_any_call_repeats_and_skips_nothing() {
    let methods = [
        Method::Commit,
        Method::AuditStream,
        Method::AuditSeals,
        Method::AuditLeaves,
        Method::AuditEvents,
        Method::AuditEventCount,
    ];
    let mut spoiled = 0;
    for method in methods {
        for nth in 1..=12 {
            for lost in [false, true] {
                let store = Arc::new(FaultyStore::new(MemoryStore::new()));
                let world = World::over(store.clone());
                let receiver = AuditReceiver::new("memory:");
                let auth = node(&world, &receiver).await;
                let fixtures = Fixtures::new(3);
                for round in 0..4 {
                    for _ in 0..30 {
                        append(store.inner(), &fixtures, world.clock_now()).await;
                        world.tick();
                    }
                    if round == 1 {
                        store.inject(method, nth, if lost { Fault::LostReply } else { Fault::Unavailable });
                    }
                    let handed = auth.audit().hand_on().await;
                    world.clock.advance(Duration::from_secs(91));
                    let sealed = auth.audit().seal().await;
                    if handed.is_err() || sealed.is_err() {
                        spoiled += 1;
                        break;
                    }
                }
                // The process dies, and with it what it remembered.
                drop(auth);
                world.clock.advance(Duration::from_secs(21));
                let auth = node(&world, &receiver).await;
                // A fault that has not hit yet hits here.
                for _ in 0..4 {
                    drop(auth.audit().hand_on().await);
                    drop(auth.audit().seal().await);
                    world.clock.advance(Duration::from_secs(21));
                }
                assert_nothing_is_missing(&receiver, &log(&*world.store).await, (method, nth, lost));
            }
        }
    }
    assert!(spoiled > 20, "the faults hit: {spoiled}");
}

#[tokio::test]
async fn a_crash_between_the_delivery_and_the_position_repeats_what_was_delivered() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let world = World::over(store.clone());
    let receiver = AuditReceiver::new("memory:");
    let auth = node(&world, &receiver).await;
    let fixtures = Fixtures::new(4);
    for _ in 0..50 {
        append(&*world.store, &fixtures, world.clock_now()).await;
        world.tick();
    }
    world.clock.advance(Duration::from_secs(91));
    auth.audit().seal().await.expect("seals");
    // The lease is the first commit, the position the second.
    store.inject(Method::Commit, 2, Fault::Unavailable);
    auth.audit().hand_on().await.expect_err("the position is not written");
    let all = log(&*world.store).await;
    assert_eq!(receiver.ids(), all);
    drop(auth);
    world.clock.advance(Duration::from_secs(21));
    let auth = node(&world, &receiver).await;
    hand_on(&auth).await;
    assert_eq!(receiver.ids().len(), 2 * all.len(), "twice, and the id tells");
    assert_nothing_is_missing(&receiver, &all, "after the crash");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_nodes_one_hands_on() {
    let world = World::new();
    let receiver = AuditReceiver::new("memory:");
    let nodes = [node(&world, &receiver).await, node(&world, &receiver).await, node(&world, &receiver).await];
    let fixtures = Fixtures::new(5);
    for round in 0..60 {
        append(&*world.store, &fixtures, world.clock_now()).await;
        world.clock.advance(Duration::from_secs(2));
        let working = nodes.clone().map(|node| tokio::spawn(async move { node.audit().hand_on().await.expect("hands on") }));
        for task in working {
            task.await.expect("no panic");
        }
        if round % 7 == 0 {
            nodes[round % 3].audit().seal().await.expect("seals");
        }
    }
    assert_eq!(receiver.ids(), log(&*world.store).await, "in order, each once");
    let mut here = Vec::new();
    for node in &nodes {
        here.push(node.health().await.audit_stream.expect("a stream").is_here);
    }
    assert_eq!(here.iter().filter(|is_here| **is_here).count(), 1);
    // The one that does it goes away, and another takes its place when the lease is over.
    let holder = here.iter().position(|is_here| *is_here).expect("one");
    let others: Vec<&AuthKit> = nodes.iter().enumerate().filter(|(index, _)| *index != holder).map(|(_, node)| node).collect();
    append(&*world.store, &fixtures, world.clock_now()).await;
    assert_eq!(hand_on(others[0]).await, 0, "not yet");
    world.clock.advance(Duration::from_secs(21));
    assert!(hand_on(others[0]).await >= 1);
    assert_eq!(hand_on(others[1]).await, 0);
    // Back again, it hands nothing on.
    assert_eq!(hand_on(&nodes[holder]).await, 0);
    assert!(!nodes[holder].health().await.audit_stream.expect("a stream").is_here);
    assert_nothing_is_missing(&receiver, &log(&*world.store).await, "after the change");
}

/// Holds a delivery until the gate is opened.
#[derive(Debug)]
struct Slow {
    inner: AuditReceiver,
    gate: Gate,
}

#[async_trait::async_trait]
impl AuditSink for Slow {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn deliver(&self, events: &[AuditEvent]) -> Result<(), AuditSinkError> {
        self.gate.pass().await;
        self.inner.deliver(events).await
    }
}

#[tokio::test]
async fn a_node_that_was_asleep_moves_no_position_that_is_not_its_own() {
    let world = World::new();
    let receiver = AuditReceiver::new("memory:");
    let gate = Gate::new();
    let slow = Arc::new(Slow { inner: receiver.clone(), gate: gate.clone() });
    let asleep = world.unjoined(world.config.clone()).audit_sink(slow).build_unattended().await.expect("builds");
    let awake = node(&world, &receiver).await;
    let fixtures = Fixtures::new(6);
    for _ in 0..30 {
        append(&*world.store, &fixtures, world.clock_now()).await;
    }
    world.clock.advance(Duration::from_secs(91));
    awake.audit().seal().await.expect("seals");
    let sleeper = asleep.clone();
    let sleeping = tokio::spawn(async move { sleeper.audit().hand_on().await });
    gate.reached().await;
    world.clock.advance(Duration::from_mins(1));
    hand_on(&awake).await;
    append(&*world.store, &fixtures, world.clock_now()).await;
    world.clock.advance(Duration::from_secs(91));
    awake.audit().seal().await.expect("seals");
    hand_on(&awake).await;
    let before = world.store.audit_stream("memory:").await.expect("reads").expect("a position");
    gate.open();
    sleeping.await.expect("no panic").expect("it finds out that it is not its turn");
    let after = world.store.audit_stream("memory:").await.expect("reads").expect("a position");
    assert_eq!((after.position, &after.holder), (before.position, &before.holder));
    assert_nothing_is_missing(&receiver, &log(&*world.store).await, "both");
}

/// Never answers.
#[derive(Debug)]
struct Hanging;

#[async_trait::async_trait]
impl AuditSink for Hanging {
    fn name(&self) -> &'static str {
        "hanging:"
    }

    async fn deliver(&self, _: &[AuditEvent]) -> Result<(), AuditSinkError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_is_given_up() {
    let world = World::new();
    let auth = world.unjoined(world.config.clone()).audit_sink(Arc::new(Hanging)).build().await.expect("builds");
    let failed = auth.audit().hand_on().await;
    assert!(matches!(failed, Err(AuditStreamError::NoAnswer)), "{failed:?}");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(auth.health().await.audit_stream.is_some_and(|stream| stream.is_failing && stream.failures >= 2));
}

#[tokio::test]
async fn nobody_waits_for_a_receiver() {
    let world = World::new();
    let auth = world.unjoined(world.config.clone()).audit_sink(Arc::new(Hanging)).build_unattended().await.expect("builds");
    let node = auth.clone();
    let hanging = tokio::spawn(async move { node.audit().hand_on().await });
    register(&auth).await;
    log_in(&auth).await;
    assert!(!hanging.is_finished(), "all that was done beside a delivery that hangs");
    hanging.abort();
}

#[tokio::test(start_paused = true)]
async fn the_background_task_hands_on_backs_off_and_outlives_a_panic() {
    let world = World::new();
    let receiver = AuditReceiver::new("memory:");
    let auth = world.unjoined(world.config.clone()).audit_sink(Arc::new(receiver.clone())).build().await.expect("builds");
    register(&auth).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_complete(&receiver, &*world.store, "within a second and a half").await;
    receiver.panic_once();
    log_in(&auth).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_complete(&receiver, &*world.store, "after a panic").await;
    receiver.set_down(true);
    log_in(&auth).await;
    let before = receiver.calls();
    tokio::time::sleep(Duration::from_mins(10)).await;
    let tried = receiver.calls() - before;
    assert!((10..=20).contains(&tried), "with growing pauses, up to a minute: {tried} times in ten minutes");
    receiver.set_down(false);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_complete(&receiver, &*world.store, "back").await;
}

#[tokio::test]
async fn a_receiver_that_is_new_gets_the_whole_log_but_for_what_was_purged() {
    let world = World::new();
    let receiver = AuditReceiver::new("first:");
    let auth = node(&world, &receiver).await;
    let fixtures = Fixtures::new(7);
    let mut last = Vec::new();
    for hours in [0, 48, 72] {
        world.clock.advance(Duration::from_hours(hours));
        for _ in 0..2_500 {
            last.push(append(&*world.store, &fixtures, world.clock_now()).await.id);
            world.tick();
        }
        world.clock.advance(Duration::from_secs(91));
        auth.audit().seal().await.expect("seals");
    }
    let purged = auth.audit().purge(Duration::from_hours(100), false).await.expect("purges");
    assert!(purged.deleted >= 2_000, "{purged:?}");
    let other = AuditReceiver::new("second:");
    let second = node(&world, &other).await;
    hand_on(&second).await;
    let all = log(&*world.store).await;
    assert_eq!(other.ids().len(), all.len());
    assert_nothing_is_missing(&other, &all, "a new receiver");
    assert_eq!(second.audit().hand_on().await.expect("hands on"), 0);
}

/// Three nodes with clocks that differ, late events, crashes, a receiver that comes and goes: at the end it has everything.
#[tokio::test]
async fn whatever_happens_nothing_is_missing_in_the_end() {
    for seed in 0..60_u64 {
        let dice = SeededEntropy::new(seed);
        let roll = |sides: u8| {
            let mut byte = [0];
            dice.fill(&mut byte);
            u64::from(byte[0] % sides)
        };
        let store = Arc::new(FaultyStore::new(MemoryStore::new()));
        let world = World::over(store.clone());
        let receiver = AuditReceiver::new("memory:");
        let fixtures = Fixtures::new(seed);
        let mut nodes = vec![node(&world, &receiver).await, node(&world, &receiver).await, node(&world, &receiver).await];
        for _ in 0..150 {
            let at = usize::try_from(roll(3)).expect("small");
            match roll(12) {
                0..=4 => {
                    for _ in 0..roll(9) {
                        // Up to a minute late: a clock that is behind, and a transaction that takes its time.
                        let late = Duration::from_millis(roll(250) * roll(250));
                        append(store.inner(), &fixtures, world.clock_now() - late).await;
                    }
                }
                5..=7 => drop(nodes[at].audit().hand_on().await),
                8 => drop(nodes[at].audit().seal().await),
                9 => receiver.set_down(roll(2) == 0),
                10 => store.inject(Method::Commit, 1 + roll(3), if roll(2) == 0 { Fault::LostReply } else { Fault::Unavailable }),
                _ => {
                    if let Ok(node) =
                        world.unjoined(world.config.clone()).audit_sink(Arc::new(receiver.clone())).build_unattended().await
                    {
                        nodes[at] = node;
                    }
                }
            }
            world.clock.advance(Duration::from_millis(roll(200) * 100));
        }
        receiver.set_down(false);
        for _ in 0..6 {
            for node in &nodes {
                drop(node.audit().hand_on().await);
                drop(node.audit().seal().await);
            }
            world.clock.advance(Duration::from_mins(2));
        }
        assert_nothing_is_missing(&receiver, &log(store.inner()).await, seed);
    }
}
