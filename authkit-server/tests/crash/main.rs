//! Kill -9 at random moments under load: what was acknowledged is there after the restart, and nothing is half-made.
//!
//! Clients register accounts, rotate refresh tokens and log in, and note what the server acknowledged. At a random moment the
//! process is killed. A copy of the files is taken as the kill left them; then the server starts again on the same data, and
//! every client goes on from what it knows. A reply that never came may have been done or not: the client repeats its request,
//! and both must be fine.
//!
//! What this does not show: a kill leaves the operating system's caches intact. That a commit survives a loss of power is the
//! business of the database's synchronous setting, which no test on a running machine can pull the plug of.
//!
//! `CRASH_SEED` repeats the moments of a run, `CRASH_ROUNDS` sets how many kills there are (50).

mod clients;
mod disk;
mod recovery;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use clients::{Alive, Chain, Histories, Registrar, Visitor};
use disk::Disk;
use support::{Dice, Server, random_seed};
use tokio::task::JoinSet;
use tokio::time::sleep;

const ROUNDS: u64 = 50;
const REGISTRARS: usize = 3;
const CHAINS: usize = 6;
const VISITORS: usize = 2;
/// When the kill comes, in milliseconds after the clients begin.
const KILL_BETWEEN: std::ops::Range<u64> = 50..400;

/// The cheapest hash that the settings take (OWASP's smallest memory), and no limit on how often it is asked: it is the
/// database that has to be caught in the act.
const SETTINGS: &[(&str, &str)] = &[
    ("AUTHKIT_LOG", "warn"),
    ("AUTHKIT_ARGON2_MEMORY_KIB", "7168"),
    ("AUTHKIT_ARGON2_ITERATIONS", "5"),
    ("AUTHKIT_RATE_LIMITING", "off"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_nine_loses_nothing_acknowledged_and_leaves_nothing_half_made() {
    let seed = std::env::var("CRASH_SEED").ok().map_or_else(random_seed, |seed| seed.parse().expect("CRASH_SEED is a number"));
    let rounds = std::env::var("CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("CRASH_ROUNDS is a number"));
    println!("CRASH_SEED={seed} CRASH_ROUNDS={rounds}");

    let mut dice = Dice::new(seed);
    let mut server = Server::start(SETTINGS).await;
    let mut histories = Histories::begin(&server, REGISTRARS, CHAINS, VISITORS).await;
    for round in 0..rounds {
        let delay = Duration::from_millis(dice.between(KILL_BETWEEN));
        println!("round {round}: kill after {delay:?}");
        load_until_killed(&mut server, &mut histories, delay).await;

        // As the kill left it, before a restart could tidy up.
        Disk::copy(&server.data_dir()).check(&histories).await;
        server.start_again().await;
        // The retries first: a client that lost a reply comes back within the grace window.
        recovery::retry_chains(&server, &mut histories).await;
        recovery::resume(&server, &mut histories, &mut dice).await;
    }
    // And what the last recovery did is on the disk of a server that ended well.
    assert!(server.stop().await.success(), "the server ends well on SIGTERM; its log:\n{}", server.log());
    Disk::copy(&server.data_dir()).check(&histories).await;
    println!("{histories}");
    histories.assert_worth_the_while(rounds);
}

/// Runs every client against the server, kills it after `delay`, and waits until every client has noticed.
async fn load_until_killed(server: &mut Server, histories: &mut Histories, delay: Duration) {
    let alive = Arc::new(Alive::default());
    let mut registrars = JoinSet::new();
    for registrar in histories.registrars.drain(..) {
        registrars.spawn(registrar.run(server.connect(), Arc::clone(&alive)));
    }
    let mut chains = JoinSet::new();
    for chain in histories.chains.drain(..) {
        chains.spawn(chain.run(server.connect(), Arc::clone(&alive)));
    }
    let accounts: Arc<[String]> = histories.login_emails().into();
    let mut visitors = JoinSet::new();
    for visitor in histories.visitors.drain(..) {
        visitors.spawn(visitor.run(server.connect(), Arc::clone(&alive), Arc::clone(&accounts)));
    }

    sleep(delay).await;
    // In this order: from here on, a broken connection is no fault of the server's.
    alive.end();
    server.kill();

    histories.registrars = registrars.join_all().await;
    histories.chains = chains.join_all().await;
    histories.visitors = visitors.join_all().await;
    // Who finishes first is chance; who is checked first should follow from the seed.
    histories.registrars.sort_by_key(Registrar::name);
    histories.chains.sort_by_key(Chain::name);
    histories.visitors.sort_by_key(Visitor::name);
}
