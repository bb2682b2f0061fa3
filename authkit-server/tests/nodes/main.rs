//! Three real servers on one database and one Redis, behind a balancer: they behave as one, and lose nothing when a part is lost.
//!
//! Clients register, rotate refresh tokens, log in and out and change passwords all the while, and write down what they asked for
//! and what they were told. Then something breaks, once or again and again. After each time the database is held against the
//! record by a checker: no double lineage, no audit event without its change and no change without its event, no half account,
//! no acknowledged write missing; of what was not answered, either is fine.
//!
//! `NODES_SEED` repeats the moments of a run; `NODES_ROUNDS` sets how often each thing breaks, `NODES_RACES` how many refreshes
//! are raced.

mod administration;
mod audit_chain;
mod balancer;
mod behind_haproxy;
mod checker;
mod client;
mod clients;
mod cluster;
mod crew;
mod ground;
mod guessing;
mod haproxy;
mod history;
mod ledger;
mod logout_travels;
mod node_lost;
mod outage;
mod parts_lost;
mod profile_travels;
mod refresh_race;
mod roles;
mod rolling_restart;
mod stopwatch;
#[path = "../support/mod.rs"]
mod support;
mod totp_replay;
mod trials;

use std::str::FromStr;

/// A number that the environment may set.
fn number<T: FromStr>(name: &str, default: T) -> T {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
