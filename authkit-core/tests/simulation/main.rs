//! Several nodes over one store, in a time and an order that follow from a seed, while everything goes wrong that can.
//!
//! `authkit_core::manual::simulation` says what is simulated, what is not, and how a seed is replayed.

mod clients;
mod flow;
mod judge;
mod ledger;
mod mutants;
mod plan;
mod ports;
mod rng;
mod schedule;
mod trace;
mod world;

use std::time::Instant;

use authkit_core::testkit::Bug;

use mutants::Flaw;
use plan::Clocks;
use schedule::{History, run, run_with};
use trace::Counts;

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn clocks() -> Clocks {
    if setting("AUTHKIT_SIM_WILD") == Some(1) { Clocks::Wild } else { Clocks::Bounded }
}

/// Runs seeds one after the other, and adds up what they saw. The first violation is a panic that says how to replay it.
fn run_all(seeds: std::ops::Range<u64>, steps: u64, clocks: Clocks) -> History {
    let mut total = History { digest: 0, steps: 0, counts: Counts::new() };
    for seed in seeds {
        let history = run(seed, steps, clocks).unwrap_or_else(|violation| panic!("{violation}"));
        total.steps += history.steps;
        for (what, times) in history.counts {
            *total.counts.entry(what).or_default() += times;
        }
    }
    total
}

/// What has to happen in the seeds of the normal test run, or they would show nothing.
const SEEN: &[(&str, &str)] = &[
    ("register", "in"),
    ("register", "account.email_taken"),
    ("log in", "in"),
    ("log in", "auth.invalid_credentials"),
    ("refresh", "in"),
    ("refresh", "the same successor again"),
    ("refresh", "reused"),
    ("refresh", "auth.invalid_refresh_token"),
    ("log out", "done"),
    ("log out everywhere", "done"),
    ("revoke", "done"),
    ("change password", "done"),
    ("reauthenticate", "fresh"),
    ("close", "done"),
    ("close", "auth.reauthentication_required"),
    ("rotate key", "done"),
    ("key", "deleted"),
    ("overtaken", "log in"),
    ("overtaken", "change password"),
    ("overtaken", "refresh"),
    ("overtaken", "register"),
    ("lost", "request"),
    ("lost", "reply"),
    ("lost", "publication"),
    ("message", "delivered"),
    ("message", "delivered twice"),
    ("message", "lost, with a gap"),
    ("message", "lost silently"),
    ("bus", "away"),
    ("bus", "given up"),
    ("store", "away"),
    ("node", "crashes"),
    ("client", "hangs up"),
    ("clock", "jumps"),
    ("poll", "failed"),
    ("start", "failed"),
    ("token", "accepted"),
    ("token", "refused"),
];

#[test]
fn every_schedule_keeps_every_invariant_and_they_see_everything() {
    let seen = run_all(0..240, 600, Clocks::Bounded).counts;
    let missed: Vec<_> = SEEN.iter().filter(|what| !seen.contains_key(what)).collect();
    assert!(missed.is_empty(), "never happened: {missed:?}");
}

#[test]
fn clocks_that_are_off_by_hours_break_nothing_that_does_not_follow_from_time() {
    run_all(0..80, 600, Clocks::Wild);
}

#[test]
fn one_seed_is_one_history() {
    for seed in 0..8 {
        let clocks = if seed % 4 == 3 { Clocks::Wild } else { Clocks::Bounded };
        let (first, second) = (run(seed, 600, clocks).expect("holds"), run(seed, 600, clocks).expect("holds"));
        assert_eq!(first, second, "seed {seed}");
    }
    let digest = |seed| run(seed, 600, Clocks::Bounded).expect("holds").digest;
    assert_ne!(digest(0), digest(1), "the digest tells histories apart");
}

/// The bus is an accelerator: a node that hears nothing knows everything one poll later.
#[test]
fn a_bus_that_carries_nothing_breaks_nothing() {
    for seed in 0..20 {
        let history = run_with(seed, 600, Clocks::Bounded, Bug::Nothing, Flaw::PublishesNothing);
        history.unwrap_or_else(|violation| panic!("{violation}"));
    }
}

#[test]
#[ignore = "replays the seed that AUTHKIT_SIM_SEED names"]
fn replay() {
    let seed = setting("AUTHKIT_SIM_SEED").expect("AUTHKIT_SIM_SEED is set");
    let history = run(seed, setting("AUTHKIT_SIM_STEPS").unwrap_or(2_000), clocks());
    println!("{:#?}", history.unwrap_or_else(|violation| panic!("{violation}")));
}

#[test]
#[ignore = "runs for long: a million steps, or AUTHKIT_SIM_SEEDS seeds of AUTHKIT_SIM_STEPS steps from AUTHKIT_SIM_FIRST on"]
#[expect(clippy::disallowed_methods, reason = "measures how long the run takes")]
fn a_million_steps() {
    let (first, seeds) = (setting("AUTHKIT_SIM_FIRST").unwrap_or(1_000), setting("AUTHKIT_SIM_SEEDS").unwrap_or(500));
    let begun = Instant::now();
    let total = run_all(first..first + seeds, setting("AUTHKIT_SIM_STEPS").unwrap_or(2_000), clocks());
    let took = begun.elapsed();
    for ((what, came), times) in total.counts {
        println!("{times:>9}  {what}: {came}");
    }
    println!(
        "{} steps in {took:?}: {:.0} steps/s",
        total.steps,
        f64::from(u32::try_from(total.steps).unwrap_or(u32::MAX)) / took.as_secs_f64()
    );
}
