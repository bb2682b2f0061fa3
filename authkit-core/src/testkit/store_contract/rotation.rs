//! Promises about the rotation of refresh tokens.

use std::time::Duration;

use crate::model::{Client, Rotation, RotationOutcome, Session, SessionWithUser, UserChange};
use crate::primitives::PageRequest;

use super::Stores;
use super::trial::{Trial, revoke};

const HOUR: Duration = Duration::from_hours(1);
const TICK: Duration = Duration::from_micros(1);

pub async fn a_rotation_moves_on_by_one_generation(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let (session, bystander) = (trial.session(&user).await, trial.session(&user).await);
    trial.fixtures.clock().advance(HOUR + TICK);
    for client in [trial.fixtures.client(), Client::default()] {
        let held = trial.read_session(&session).await.expect("the session is read").session;
        let rotation = Rotation { client, ..trial.fixtures.rotation(&held) };
        let moved = Session {
            generation: held.generation + 1,
            secret: rotation.successor,
            refreshed_at: rotation.at,
            idle_expires_at: rotation.idle_expires_at,
            last_used_by: rotation.client.clone(),
            ..held
        };
        let expected = SessionWithUser { session: moved, user: user.clone() };
        let shown = trial.rotate(&rotation).await;
        assert_eq!(shown.user.email.spelling(), user.email.spelling());
        assert_eq!(shown, expected);
        assert_eq!(trial.read_session(&session).await, Some(expected), "what is shown is what is kept");
    }
    assert_eq!(trial.read_session(&bystander).await.map(|read| read.session), Some(bystander), "nothing else moves");
}

pub async fn a_rotation_cuts_the_idle_end_at_the_absolute_end(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let session = trial.session(&user).await;
    let end = session.expires_at;
    let mut held = session.clone();
    for (asked, given) in [
        (end + HOUR, end),
        (end + TICK, end),
        (end, end),
        (end - TICK, end - TICK),
        (held.created_at + HOUR, held.created_at + HOUR),
    ] {
        let moved = trial.rotate(&Rotation { idle_expires_at: asked, ..trial.fixtures.rotation(&held) }).await;
        assert_eq!((moved.session.idle_expires_at, moved.session.expires_at), (given, end));
        let read = trial.read_session(&session).await.expect("the session is read").session;
        assert_eq!((read.idle_expires_at, read.expires_at), (given, end));
        held = moved.session;
    }
}

pub async fn a_rotation_of_another_generation_is_refused(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let session = trial.keep_session(&user, Session { generation: 5, ..trial.fixtures.session(user.id) }).await;
    for generation in [0, 4, 6, u32::MAX] {
        trial.refuse_rotation(&Rotation { generation, ..trial.fixtures.rotation(&session) }).await;
    }
    let spent = trial.fixtures.rotation(&session);
    let moved = trial.rotate(&spent).await;
    trial.refuse_rotation(&spent).await;
    assert_eq!(trial.read_session(&session).await, Some(moved));
}

pub async fn a_rotation_with_another_secret_is_refused(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let (session, other) = (trial.session(&user).await, trial.session(&user).await);
    for presented in [trial.fixtures.digest(), other.secret] {
        trial.refuse_rotation(&Rotation { presented, ..trial.fixtures.rotation(&session) }).await;
    }
    let spent = trial.fixtures.rotation(&session);
    let moved = trial.rotate(&spent).await.session;
    // The secret of the generation before, under the generation of now.
    trial.refuse_rotation(&Rotation { presented: spent.presented, ..trial.fixtures.rotation(&moved) }).await;
}

pub async fn a_rotation_of_a_revoked_session_is_refused(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let session = trial.session(&user).await;
    // An instant later than the rotation's: what was revoked stays so, whatever the clocks of two nodes say.
    trial.apply(revoke(&session, trial.now() + HOUR)).await;
    trial.refuse_rotation(&trial.fixtures.rotation(&session)).await;
}

pub async fn a_rotation_of_an_expired_session_is_refused(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let now = trial.now();
    for (idle_expires_at, expires_at) in
        [(now, now + HOUR), (now - TICK, now + HOUR), (now + HOUR, now), (now + HOUR, now - TICK)]
    {
        let session = Session { idle_expires_at, expires_at, ..trial.fixtures.session(user.id) };
        let session = trial.keep_session(&user, session).await;
        trial.refuse_rotation(&trial.fixtures.rotation(&session)).await;
    }
    let session = Session { idle_expires_at: now + TICK, expires_at: now + TICK, ..trial.fixtures.session(user.id) };
    let session = trial.keep_session(&user, session).await;
    trial.rotate(&trial.fixtures.rotation(&session)).await;
}

pub async fn a_rotation_of_no_session_is_refused_with_nothing(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let session = trial.session(&user).await;
    let unknown = trial.fixtures.rotation(&trial.fixtures.session(user.id));
    trial.apply(UserChange::Close { id: user.id, at: trial.now() }).await;
    for rotation in [unknown, trial.fixtures.rotation(&session)] {
        let outcome = trial.store.rotate(&rotation).await.expect("a refusal is an answer");
        assert_eq!(outcome, RotationOutcome::Refused(None));
    }
}

pub async fn a_refresh_chain_keeps_one_row(stores: Stores) {
    let trial = Trial::begin(&stores).await;
    let user = trial.user().await;
    let session = trial.session(&user).await;
    let mut held = session.clone();
    for generation in 1..=50 {
        trial.fixtures.clock().advance(Duration::from_mins(15));
        held = trial.rotate(&trial.fixtures.rotation(&held)).await.session;
        assert_eq!((held.id, held.generation, held.refreshed_at), (session.id, generation, trial.now()));
    }
    let live = trial.store.live_sessions(user.id, trial.now(), PageRequest::default()).await.expect("reads");
    assert_eq!(live.items, [held]);
}
