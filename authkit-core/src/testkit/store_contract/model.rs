//! The promise that stands for all those that nobody thought of: whatever happens, the store is what the model is.

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::embedded::MemoryStore;
use crate::model::OutboxMessage;
use crate::model::{ChangeSet, Revocation, Rotation, RotationOutcome, SessionWithUser};
use crate::ports::store::{CommitError, Conflict, Store};

use super::Stores;
use super::history::{self, Step, histories};
use super::trial::{setting, sorted};
use super::view::{Known, Spelled, View, spelled_session};

/// The most steps of a history; the mean is half of it.
const STEPS: usize = 60;

pub async fn random_histories_are_those_of_the_model(stores: Stores) {
    let runtime = tokio::runtime::Handle::current();
    let run = tokio::task::spawn_blocking(move || {
        let config = Config {
            cases: setting("AUTHKIT_CONTRACT_CASES", 64),
            failure_persistence: None,
            max_shrink_iters: 400,
            ..Config::default()
        };
        // The same histories in every run: a red build stays red until it is understood.
        let mut seed = [0_u8; 32];
        seed[..4].copy_from_slice(&setting("AUTHKIT_CONTRACT_SEED", 1).to_be_bytes());
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
        runner.run(&histories(STEPS), |steps| runtime.block_on(live_through(&stores, &steps)).map_err(TestCaseError::fail))
    });
    if let Err(failure) = run.await.expect("the histories are run to their end") {
        panic!("{failure}");
    }
}

/// Lets the same things happen to a fresh store and to the model. The error says where they parted.
async fn live_through(stores: &Stores, steps: &[Step]) -> Result<(), String> {
    let (store, model) = (stores.fresh().await, MemoryStore::new());
    for opened in [commit(&*store, &history::opening()).await, commit(&model, &history::opening()).await] {
        opened.map_err(|conflict| format!("a history cannot begin: {conflict:?}"))?;
    }
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Commit(moves) => {
                let mut changes = Vec::with_capacity(moves.len());
                for change in moves {
                    changes.push(change.change(&model).await);
                }
                let changes: ChangeSet = changes.into_iter().collect();
                let (given, expected) = (commit(&*store, &changes).await, commit(&model, &changes).await);
                if !same(&given, &expected) {
                    return Err(format!("step {number}: {given:?} instead of {expected:?} for {changes:?}"));
                }
            }
            Step::Rotate(turn) => {
                let rotation = turn.rotation(&model).await;
                let (given, expected) = (rotate(&*store, &rotation).await, rotate(&model, &rotation).await);
                if given != expected {
                    return Err(format!("step {number}: {given:?} instead of {expected:?} for {rotation:?}"));
                }
            }
        }
        let mut known = Known::default();
        known.note(&history::universe());
        known.note_instant(history::at(u8::try_from(number % 4).unwrap_or(0)));
        let (seen, expected) = (View::of(&*store, &known).await, View::of(&model, &known).await);
        if let Some(difference) = seen.difference(&expected) {
            return Err(format!("after step {number}, {step:?}, {difference}"));
        }
    }
    Ok(())
}

/// What a commit said: the sessions that ended, and the messages that were claimed.
type Said = Result<(Vec<Revocation>, Vec<OutboxMessage>), Conflict>;

async fn commit(store: &dyn Store, changes: &ChangeSet) -> Said {
    match store.commit(changes).await {
        Ok(mut committed) => {
            committed.claimed.sort_by_key(|message| (message.id, message.attempts));
            Ok((sorted(committed.revoked), committed.claimed))
        }
        Err(CommitError::Conflict(conflict)) => Err(conflict),
        Err(error) => panic!("{error:?} for {changes:?}"),
    }
}

/// What a rotation said: the word, and the session.
async fn rotate(store: &dyn Store, rotation: &Rotation) -> (&'static str, Spelled<SessionWithUser>) {
    match store.rotate(rotation).await.expect("a rotation is answered") {
        RotationOutcome::Rotated(moved) => ("rotated", spelled_session(Some(*moved))),
        RotationOutcome::Refused(stands) => ("refused", spelled_session(stands.map(|stands| *stands))),
    }
}

/// Where two unique values of one row are taken, a store names either.
fn same(given: &Said, expected: &Said) -> bool {
    let unique = [Conflict::EmailTaken, Conflict::DuplicateId, Conflict::KeySerialTaken];
    match (given, expected) {
        (Err(given), Err(expected)) => given == expected || (unique.contains(given) && unique.contains(expected)),
        (given, expected) => given == expected,
    }
}
