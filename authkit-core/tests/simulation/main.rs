//! Several nodes over one store, in a time and an order that follow from a seed, while everything goes wrong that can.

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

use plan::Clocks;
use schedule::run;

#[test]
#[ignore]
fn replay() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("AUTHKIT_SIM_SEED").expect("AUTHKIT_SIM_SEED");
    let steps = number("AUTHKIT_SIM_STEPS").unwrap_or(2_000);
    let clocks = if number("AUTHKIT_SIM_WILD") == Some(1) { Clocks::Wild } else { Clocks::Bounded };
    println!("{:?}", run(seed, steps, clocks).unwrap_or_else(|violation| panic!("{violation}")));
}

#[test]
#[ignore]
fn many() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = number("AUTHKIT_SIM_SEEDS").unwrap_or(100);
    let first = number("AUTHKIT_SIM_FIRST").unwrap_or(0);
    let steps = number("AUTHKIT_SIM_STEPS").unwrap_or(2_000);
    let clocks = if number("AUTHKIT_SIM_WILD") == Some(1) { Clocks::Wild } else { Clocks::Bounded };
    let begun = Instant::now();
    let mut total = 0;
    let mut counts = trace::Counts::new();
    for seed in first..first + seeds {
        match run(seed, steps, clocks) {
            Ok(history) => {
                total += history.steps;
                for (what, count) in history.counts {
                    *counts.entry(what).or_default() += count;
                }
            }
            Err(violation) => {
                println!("{violation}");
                return;
            }
        }
    }
    for ((what, came), count) in counts {
        println!("{count:>9}  {what}: {came}");
    }
    println!("{total} steps in {:?}", begun.elapsed());
}
