//! What a run is like: how many of everything, and how much goes wrong. It follows from the seed.

use std::time::Duration;

use authkit_core::Config;
use authkit_core::config::{Argon2Params, HmacSecret, ReusePolicy, SigningAlgorithm};

use crate::rng::Rng;

/// How far clocks go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clocks {
    /// Two of them differ by the leeway at most, as the documentation demands.
    Bounded,
    /// By hours. Only what has to hold anyway is checked: nothing that follows from time.
    Wild,
}

/// How a run goes. Chances are given in ten-thousandths.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) clocks: Clocks,
    pub(crate) nodes: usize,
    pub(crate) accounts: usize,
    /// How many requests are in flight at once, at most.
    pub(crate) flows: usize,
    pub(crate) lose_request: u32,
    pub(crate) lose_reply: u32,
    /// A message of the bus is lost, and the bus says so.
    pub(crate) lose_told: u32,
    /// A message of the bus is lost without a word.
    pub(crate) lose_silently: u32,
    /// A message of the bus comes more than once.
    pub(crate) deliver_again: u32,
    /// The bus does not answer a publication.
    pub(crate) stall: u32,
    /// A client asks twice.
    pub(crate) ask_twice: u32,
    /// Somebody copies what a device holds.
    pub(crate) steal: u32,
    /// A step disturbs: a crash, a dropped request, an outage, a clock.
    pub(crate) disturb: u32,
    /// Calls may take longer than transactions are given.
    pub(crate) slow: bool,
    /// Every other node was given a higher cost of hashes already.
    pub(crate) mixed_costs: bool,
    config: Config,
}

impl Plan {
    pub(crate) fn draw(rng: &mut Rng, clocks: Clocks) -> Self {
        // Every third run is calm in some respect, so that one fault does not hide behind another.
        let sometimes = |rng: &mut Rng, most: u64| -> u32 {
            let drawn = rng.below(most);
            if rng.below(3) == 0 { 0 } else { u32::try_from(drawn).unwrap_or(0) }
        };
        let mut config = config();
        config.sessions.max_per_user = u32::try_from(rng.within(1, 4)).unwrap_or(3);
        let slow = rng.below(3) == 0;
        Self {
            clocks,
            nodes: usize::try_from(rng.within(2, 4)).unwrap_or(3),
            accounts: usize::try_from(rng.within(1, 4)).unwrap_or(3),
            flows: usize::try_from(rng.within(2, 9)).unwrap_or(4),
            lose_request: sometimes(rng, 600),
            lose_reply: sometimes(rng, 600),
            // What is slow is seen where the bus has lost the word of it.
            lose_told: if slow { 5_000 } else { sometimes(rng, 4_000) },
            lose_silently: sometimes(rng, 4_000),
            deliver_again: sometimes(rng, 3_000),
            stall: sometimes(rng, 2_000),
            ask_twice: sometimes(rng, 3_000),
            steal: sometimes(rng, 1_000),
            disturb: sometimes(rng, 250),
            slow,
            mixed_costs: rng.below(3) == 0,
            config,
        }
    }

    /// The settings that all nodes agree on.
    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    /// The settings of one node.
    pub(crate) fn config_of(&self, node: usize) -> Config {
        let mut config = self.config.clone();
        if self.mixed_costs && node % 2 == 1 {
            config.passwords.params.iterations += 1;
        }
        config
    }
}

/// Short lives, so that a run sees everything end; and hashes and signatures that cost next to nothing.
fn config() -> Config {
    let mut config = Config::new("https://auth.example");
    config.passwords.params = Argon2Params { memory_kib: 8, iterations: 1, parallelism: 1 };
    config.passwords.min_score = 0;
    config.hashing.threads = 1;
    // How long a hash takes by the real clock must make no difference.
    config.hashing.max_wait = Duration::from_hours(24);
    config.tokens.algorithm = SigningAlgorithm::Hs256(HmacSecret::new((0..32).collect()).expect("a secret"));
    config.tokens.lifetime = Duration::from_mins(1);
    config.tokens.key_lead = Duration::from_mins(5);
    config.tokens.key_lifetime = Duration::from_mins(10);
    config.tokens.cache_capacity = 64;
    config.sessions.idle_timeout = Duration::from_mins(4);
    config.sessions.absolute_timeout = Duration::from_mins(12);
    config.sessions.recent_authentication = Duration::from_mins(2);
    config.sessions.reuse = ReusePolicy::Grace(GRACE);
    config
}

/// How long a used refresh token is exchanged once more.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// How far a clock may be off by itself, so that two of them differ by the leeway at most.
pub(crate) const HALF_LEEWAY_MICROS: u64 = 15_000_000;
/// How long a commit may take to land behind the instant that it names: what a poll looks back for.
pub(crate) const TRANSACTION: Duration = Duration::from_secs(5);
