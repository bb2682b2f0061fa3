//! The audit log: sealed in one chain, verified, purged without a gap, and asked why.

use std::time::Duration;

use authkit_core::audit::canonical;
use authkit_core::flows::{AuditAnchor, AuditFault, AuditPurgeError, SecurityActor, Verification, VerifyOptions};
use authkit_core::model::{
    AuditAction, AuditChange, AuditEvent, AuditFilter, AuditSeal, ChangeSet, Client, Outcome, Patch, RequestContext, UserChange,
};
use authkit_core::testkit::Fixtures;
use authkit_core::token::SealVerifier;
use authkit_core::{
    AuditEventId, AuthKit, FullName, Login, PageLimit, PageRequest, ProfileUpdate, RefreshToken, RequestId, Timestamp,
};

use crate::support::{World, email, log_in, password, principal, register, request};

async fn verified(auth: &AuthKit) -> Verification {
    auth.audit().verify(&VerifyOptions::default()).await.expect("verifies")
}

/// Appends an event of an instant, whatever the clock shows.
async fn append(world: &World, fixtures: &Fixtures, at: Timestamp) -> AuditEvent {
    let id = AuditEventId::from_uuid(uuid::Uuid::from_u128(
        AuditEventId::first_of(at).as_uuid().as_u128() | (fixtures.user().id.as_uuid().as_u128() & 0xffff_ffff_ffff),
    ));
    let event = AuditEvent { id, at, ..fixtures.event(fixtures.user().id) };
    world.store.commit(&ChangeSet::new().and(event.clone())).await.expect("commits");
    event
}

async fn seals(auth: &AuthKit) -> Vec<AuditSeal> {
    auth.audit().seals(0, PageLimit::new(200).expect("in range")).await.expect("reads")
}

#[tokio::test]
async fn what_is_old_enough_is_sealed_and_verified() {
    let world = World::new();
    let auth = world.node().await;
    register(&auth).await;
    assert_eq!(auth.audit().seal().await.expect("seals").seals, 0, "too young");
    let young = verified(&auth).await;
    assert!(young.is_intact() && young.unsealed >= 2 && young.proven_until.is_none());
    world.clock.advance(Duration::from_secs(91));
    let sealed = auth.audit().seal().await.expect("seals");
    assert!(sealed.seals == 1 && sealed.events == young.unsealed, "{sealed:?}");
    log_in(&auth).await;
    let found = verified(&auth).await;
    assert_eq!((found.seals, found.events, found.unsealed), (1, young.unsealed, 1), "{found:?}");
    assert!(found.is_intact() && found.proven_until.is_some());
    // Nothing new, no new seal.
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(auth.audit().seal().await.expect("seals").seals, 0);
}

#[tokio::test]
async fn a_log_that_was_never_sealed_is_caught_up_with_in_batches() {
    let world = World::new();
    let auth = world.node().await;
    let fixtures = Fixtures::new(5);
    let start = fixtures.now() - Duration::from_hours(24);
    for index in 0..2_345_u64 {
        append(&world, &fixtures, start + Duration::from_millis(index)).await;
    }
    world.clock.advance(Duration::from_secs(91));
    let sealed = auth.audit().seal().await.expect("seals");
    assert!(sealed.seals == 3 && sealed.events >= 2_345, "{sealed:?}");
    let found = verified(&auth).await;
    assert!(found.is_intact() && found.events == sealed.events && found.unsealed == 0, "{found:?}");
    let counts: Vec<u32> = seals(&auth).await.iter().map(|seal| seal.count).collect();
    assert_eq!(counts[..2], [1_000, 1_000]);
    // From a later seal on, less is looked at, and as much is proven of that.
    let later = auth.audit().verify(&options(|options| options.from_seal = 3)).await.expect("verifies");
    assert!(later.is_intact() && later.seals == 1 && later.events == u64::from(counts[2]), "{later:?}");
}

fn options(change: impl FnOnce(&mut VerifyOptions)) -> VerifyOptions {
    let mut options = VerifyOptions::default();
    change(&mut options);
    options
}

#[tokio::test]
async fn what_lands_late_is_sealed_as_late_and_what_is_put_into_the_past_is_named() {
    let world = World::new();
    let auth = world.node().await;
    let fixtures = Fixtures::new(6);
    append(&world, &fixtures, world.clock_now()).await;
    world.clock.advance(Duration::from_mins(2));
    auth.audit().seal().await.expect("seals");
    // A transaction that took its time, and one that nobody would believe.
    let late = append(&world, &fixtures, world.clock_now() - Duration::from_secs(110)).await;
    let before = verified(&auth).await;
    assert!(before.is_intact() && before.unsealed == 1, "it may still be sealed: {before:?}");
    let sealed = auth.audit().seal().await.expect("seals");
    assert_eq!((sealed.events, sealed.late), (1, 1));
    let found = verified(&auth).await;
    assert!(found.is_intact() && found.late == 1, "{found:?}");
    assert_eq!(auth.audit().seal().await.expect("seals").seals, 0, "once");

    let forged = append(&world, &fixtures, world.clock_now() - Duration::from_mins(16)).await;
    assert_eq!(auth.audit().seal().await.expect("seals").seals, 0, "nobody seals that");
    let found = verified(&auth).await;
    assert_eq!(
        found.problems.iter().map(|problem| (problem.event, problem.fault)).collect::<Vec<_>>(),
        [(Some(forged.id), AuditFault::Added)]
    );
    assert_ne!(forged.id, late.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_nodes_make_one_chain() {
    let mut world = World::new();
    world.config.audit.seal_after = Duration::from_secs(1);
    let nodes = [world.node().await, world.node().await, world.node().await];
    let fixtures = Fixtures::new(7);
    for _ in 0..12 {
        for _ in 0..20 {
            append(&world, &fixtures, world.clock_now() - Duration::from_millis(500)).await;
        }
        world.clock.advance(Duration::from_secs(2));
        let sealing = nodes.clone().map(|node| tokio::spawn(async move { node.audit().seal().await.expect("seals") }));
        for task in sealing {
            task.await.expect("no panic");
        }
    }
    let found = verified(&nodes[0]).await;
    assert!(found.is_intact() && found.events >= 240 && found.unsealed == 0, "{found:?}");
    let chain = seals(&nodes[1]).await;
    assert!(chain.iter().map(|seal| seal.number).eq(1..=chain.len() as u64));
    assert_eq!(verified(&nodes[2]).await, found);
}

#[tokio::test]
async fn a_key_is_trusted_or_it_is_not() {
    let world = World::new();
    let auth = world.node().await;
    world.clock.advance(Duration::from_secs(91));
    auth.audit().seal().await.expect("seals");
    let [(_, public)] = auth.audit().public_keys().try_into().expect("one key");
    let trusted = |key: &str| vec![SealVerifier::from_jwk(key).expect("a public key")];
    let own = auth.audit().verify(&options(|options| options.trusted = trusted(&public))).await.expect("verifies");
    assert!(own.is_intact() && own.seals == 1);
    let stranger = World::new().node().await.audit().public_keys().remove(0).1;
    let other = auth.audit().verify(&options(|options| options.trusted = trusted(&stranger))).await.expect("verifies");
    assert_eq!(other.problems.first().map(|problem| problem.fault), Some(AuditFault::UnknownKey));

    // Rotated, and never forgotten.
    auth.keys().rotate(authkit_core::model::KeyPurpose::AuditSeal, true).await.expect("rotates");
    world.clock.advance(Duration::from_hours(24 * 400));
    log_in_late(&auth).await;
    world.clock.advance(Duration::from_secs(91));
    auth.audit().seal().await.expect("seals");
    let found = verified(&auth).await;
    assert!(found.is_intact() && found.seals == 2, "{found:?}");
    assert_eq!(auth.audit().public_keys().len(), 2);
    assert_ne!(seals(&auth).await[0].key_id, seals(&auth).await[1].key_id);
}

async fn log_in_late(auth: &AuthKit) {
    auth.sessions().log_in(Login::new(email(), password("whatever it is")), &request()).await.expect_err("nobody is there");
}

#[tokio::test]
async fn an_anchor_shows_that_the_end_was_cut_off() {
    let world = World::new();
    let auth = world.node().await;
    world.clock.advance(Duration::from_secs(91));
    auth.audit().seal().await.expect("seals");
    let head = auth.audit().head().await.expect("reads").expect("a seal");
    let anchor = AuditAnchor { number: head.number, digest: head.digest };
    let with = async |anchor| auth.audit().verify(&options(|options| options.anchor = Some(anchor))).await.expect("verifies");
    assert!(with(anchor).await.is_intact());
    let ahead = AuditAnchor { number: 7, ..anchor };
    let other = AuditAnchor { digest: authkit_core::Digest::of(b"another chain"), ..anchor };
    for missed in [ahead, other] {
        let faults: Vec<AuditFault> = with(missed).await.problems.iter().map(|problem| problem.fault).collect();
        assert_eq!(faults, [AuditFault::AnchorMissed]);
    }
}

#[tokio::test]
async fn a_purge_leaves_a_chain_that_verifies() {
    let world = World::new();
    let auth = world.node().await;
    let fixtures = Fixtures::new(8);
    for _ in 0..5 {
        append(&world, &fixtures, world.clock_now()).await;
    }
    world.clock.advance(Duration::from_secs(91));
    auth.audit().seal().await.expect("seals");
    world.clock.advance(Duration::from_hours(48));
    append(&world, &fixtures, world.clock_now()).await;
    world.clock.advance(Duration::from_secs(91));
    auth.audit().seal().await.expect("seals");
    let before = verified(&auth).await;

    let young = auth.audit().purge(Duration::from_hours(1), true).await;
    assert!(matches!(young, Err(AuditPurgeError::TooYoung)), "{young:?}");
    let plan = auth.audit().purge(Duration::from_hours(24), true).await.expect("plans");
    assert!(plan.through_seal == 1 && plan.deleted == 0 && plan.sealed_events + 1 == before.events, "{plan:?}");
    assert_eq!(verified(&auth).await, before, "a dry run changes nothing");
    let done = auth.audit().purge(Duration::from_hours(24), false).await.expect("purges");
    assert_eq!(done.deleted, plan.sealed_events);
    let after = verified(&auth).await;
    assert!(after.is_intact(), "{after:?}");
    assert_eq!((after.purged, after.purged_through, after.events), (plan.sealed_events, 1, 1));
    assert_eq!(auth.audit().purge(Duration::from_hours(24), false).await.expect("purges").deleted, 0);
    let told = auth.audit().events(&AuditFilter::new().action(AuditAction::AuditPurged), PageRequest::default()).await;
    assert_eq!(told.expect("reads").items.len(), 1);
}

#[tokio::test]
async fn a_purge_that_was_interrupted_is_finished_and_one_that_nobody_released_is_a_theft() {
    let world = World::new();
    let auth = world.node().await;
    let fixtures = Fixtures::new(9);
    for _ in 0..3 {
        append(&world, &fixtures, world.clock_now()).await;
        world.clock.advance(Duration::from_secs(91));
        auth.audit().seal().await.expect("seals");
    }
    // Somebody deletes like a purge does, without having said so in a seal.
    world.store.commit(&ChangeSet::new().and(AuditChange::PurgeSealed { seal: 2 })).await.expect("commits");
    let found = verified(&auth).await;
    assert_eq!(found.problems.first().map(|problem| (problem.seal, problem.fault)), Some((2, AuditFault::LeavesAltered)));
    world.clock.advance(Duration::from_hours(48));
    // Released, and the process dies: here the rest is done by the next one.
    let done = auth.audit().purge(Duration::from_hours(24), false).await.expect("purges");
    assert_eq!((done.through_seal, verified(&auth).await.is_intact()), (3, true));
}

#[tokio::test]
async fn a_refused_refresh_says_exactly_why() {
    let world = World::new();
    let auth = world.node().await;
    let first = register(&auth).await;
    let in_request = |id: &str| RequestContext { request_id: id.parse().ok(), ..request() };
    let refuse = async |token: &RefreshToken, id: &str| {
        auth.sessions().refresh(token, &in_request(id)).await.expect_err("refused");
    };
    let why = async |id: &str| {
        let explanation = auth.audit().explain(id.parse::<RequestId>().expect("an id")).await.expect("explains");
        explanation.events.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("; ")
    };
    refuse(&RefreshToken::new("ak_rt_made-up".to_owned()), "made-up-1").await;
    assert!(why("made-up-1").await.contains("not issued by this service"), "{}", why("made-up-1").await);

    auth.sessions().log_out(&first.tokens.refresh_token, &request()).await.expect("logs out");
    refuse(&first.tokens.refresh_token, "logged-out").await;
    assert!(why("logged-out").await.contains("had been ended at") && why("logged-out").await.contains("(logout)"));

    let idle = log_in(&auth).await;
    world.clock.advance(Duration::from_hours(24 * 29));
    refuse(&idle.tokens.refresh_token, "idle-for-long").await;
    assert!(why("idle-for-long").await.contains("not been used for too long"), "{}", why("idle-for-long").await);
    world.clock.advance(Duration::from_hours(24 * 2));
    refuse(&idle.tokens.refresh_token, "at-its-end").await;
    assert!(why("at-its-end").await.contains("it ended at") || why("at-its-end").await.contains("come to its end"));

    let wrong = Login::new(email(), password("not the password"));
    auth.sessions().log_in(wrong, &in_request("wrong-password")).await.expect_err("refused");
    assert!(why("wrong-password").await.contains("password was another one"));
    let nobody = Login::new(authkit_core::Email::parse("nobody@example.com").expect("an address"), password("not the password"));
    auth.sessions().log_in(nobody, &in_request("unknown-account")).await.expect_err("refused");
    assert!(why("unknown-account").await.contains("no account has this address"));
    assert!(why("never-seen-id").await.is_empty());
}

#[tokio::test]
async fn made_up_tokens_fill_no_log() {
    let world = World::new();
    let auth = world.node().await;
    let registered = register(&auth).await;
    let count = async || {
        let filter = AuditFilter::new().action(AuditAction::RefreshRefused);
        auth.audit()
            .events(&filter, PageRequest { limit: PageLimit::new(200).expect("in range"), cursor: None })
            .await
            .expect("reads")
            .items
            .len()
    };
    let mut flipped = registered.tokens.refresh_token.expose().to_owned();
    flipped.pop();
    for round in 0..400_u32 {
        let ip = Some([198, 51, 100, u8::try_from(round % 4).expect("small")].into());
        let context = RequestContext { client: Client { ip, user_agent: None }, ..request() };
        let token = RefreshToken::new(flipped.clone());
        auth.sessions().refresh(&token, &context).await.expect_err("refused");
    }
    assert_eq!(count().await, 4 * 5, "five of each network");
    // From ever new networks: what the node takes in all.
    for round in 0..1_000_u32 {
        let [_, _, high, low] = round.to_be_bytes();
        let context = RequestContext { client: Client { ip: Some([203, 0, high, low].into()), user_agent: None }, ..request() };
        let token = RefreshToken::new(flipped.clone());
        auth.sessions().refresh(&token, &context).await.expect_err("refused");
    }
    assert_eq!(count().await, 60, "a burst of the node");
    // One that is ours, of a session that has ended, is not mixed up with them; and repeated for ever it stops too.
    auth.sessions().log_out(&registered.tokens.refresh_token, &request()).await.expect("logs out");
    for _ in 0..200 {
        auth.sessions().refresh(&registered.tokens.refresh_token, &request()).await.expect_err("refused");
    }
    assert_eq!(count().await, 80);
}

#[tokio::test]
async fn what_becomes_of_a_field_is_kept_and_cannot_forge_a_line() {
    let world = World::new();
    let auth = world.node().await;
    let me = principal(&auth, &register(&auth).await);
    let name =
        |text: &str| ProfileUpdate { full_name: Patch::Set(FullName::parse(text).expect("a name")), ..ProfileUpdate::default() };
    auth.accounts().update_profile(&me, name("Zoë"), &request()).await.expect("updates");
    world.tick();
    auth.accounts().update_profile(&me, name("=cmd|' /C calc'!A0"), &request()).await.expect("updates");
    let event = world.events().await.into_iter().find(|event| event.action == AuditAction::ProfileChanged).expect("an event");
    assert_eq!(event.details.get("changed.full_name.from").map(String::as_str), Some("Zoë"));
    assert_eq!(event.details.get("changed.full_name.to").map(String::as_str), Some("=cmd|' /C calc'!A0"));
    let hostile = event.with("reason", "a\r\n{\"action\":\"forged\"}\u{202e}").with("long", "x".repeat(10_000));
    assert_eq!(hostile.details["reason"], "a\\u{d}\\u{a}{\"action\":\"forged\"}\\u{202e}");
    assert_eq!(hostile.details["long"].len(), AuditEvent::MAX_DETAIL_CHARS);
}

#[tokio::test]
async fn a_user_sees_her_own_events_and_nothing_of_the_inside() {
    let world = World::new();
    let auth = world.node().await;
    let registered = register(&auth).await;
    let me = principal(&auth, &registered);
    let fixtures = Fixtures::new(11);
    let (admin, now) = (fixtures.user().id, world.clock_now());
    let by_admin = fixtures
        .event(me.user_id())
        .by(authkit_core::model::Actor::User(admin, None))
        .with("reason", "looked suspicious to support")
        .with("ticket", "4711");
    let others = fixtures.event(fixtures.user().id);
    world.store.commit(&ChangeSet::new().and(by_admin).and(others)).await.expect("commits");
    let wrong = Login::new(email(), password("not the password"));
    auth.sessions().log_in(wrong, &request()).await.expect_err("refused");
    let seen = auth.audit().security_events(&me, PageRequest::default()).await.expect("reads").items;
    assert_eq!(seen.len(), 3, "{seen:?}");
    let shown = format!("{seen:?}");
    assert!(!shown.contains("suspicious") && !shown.contains("4711") && !shown.contains(&admin.to_string()), "{shown}");
    let by_other = seen.iter().find(|event| event.actor == SecurityActor::Administrator).expect("the administrator's");
    assert!(by_other.ip.is_none() && by_other.user_agent.is_none());
    assert!(seen.iter().any(|event| event.outcome == Outcome::Failure && event.details.contains_key("method")));
    assert!(now <= world.clock_now());
}

#[tokio::test(start_paused = true)]
async fn the_background_task_seals_by_itself() {
    let world = World::new();
    let auth = world.node().await;
    register(&auth).await;
    world.clock.advance(Duration::from_secs(91));
    tokio::time::sleep(Duration::from_secs(15)).await;
    let found = verified(&auth).await;
    assert!(found.is_intact() && found.seals >= 1 && found.unsealed == 0, "{found:?}");
    assert_eq!(auth.health().await.unsealed_for, Duration::ZERO);
}

#[tokio::test]
async fn the_leaf_of_an_event_is_what_is_stored() {
    let world = World::new();
    let auth = world.node().await;
    let event = append(&world, &Fixtures::new(12), world.clock_now() - Duration::from_hours(1)).await;
    world.clock.advance(Duration::from_secs(91));
    auth.audit().seal().await.expect("seals");
    let leaves = world.store.audit_leaves(1).await.expect("reads").expect("leaves");
    assert_eq!(leaves[0], canonical::leaf(&event));
    let close = UserChange::Close { id: event.subject.expect("a subject"), at: world.clock_now() };
    assert!(world.store.commit(&ChangeSet::new().and(close)).await.is_err(), "there is no such account");
}
