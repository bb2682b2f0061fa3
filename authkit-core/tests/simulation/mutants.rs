//! The simulation can fail: nodes and stores that are wrong on purpose, and how soon each is found.

use authkit_core::testkit::Bug;

use crate::plan::Clocks;
use crate::schedule::run_with;

/// A node that is wrong on purpose, by what its ports do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing is.
    Nothing,
    /// Revocations are neither published nor read.
    TellsNobody,
    /// Revocations are not published; they are read.
    PublishesNothing,
    /// A gap of the bus is no reason to read anything.
    IgnoresGaps,
    /// A node that starts reads the revocations from now on.
    CatchesUpFromNow,
    /// A poll reads from the instant at which it begins.
    PollsWithoutOverlap,
    /// Revocations are forgotten while tokens of their sessions are valid.
    ForgetsTooEarly,
}

/// How many seeds a mutant may survive.
const SEEDS: u64 = 60;
const STEPS: u64 = 1_500;

fn is_found(name: &str, bug: Bug, flaw: Flaw) {
    let seeds = crate::setting("AUTHKIT_SIM_SEEDS").unwrap_or(SEEDS);
    let first = (0..seeds).find_map(|seed| run_with(seed, STEPS, Clocks::Bounded, bug, flaw).err().map(|found| (seed, found)));
    let (seed, found) = first.unwrap_or_else(|| panic!("{name} went unnoticed in {seeds} seeds"));
    // For the reader of a log: a mutant must die of its bug, and not of something else.
    println!("{name}: seed {seed}, step {}: {}", found.at, found.what);
}

macro_rules! mutants {
    ($($kind:ident $name:ident;)*) => {
        mod mutant {
            use super::{Bug, Flaw};
            $(#[expect(non_snake_case, reason = "named for what is wrong")]
            #[test]
            fn $name() {
                mutants!(@found $kind $name);
            })*
        }
    };
    (@found store $name:ident) => { super::is_found(stringify!($name), Bug::$name, Flaw::Nothing) };
    (@found node $name:ident) => { super::is_found(stringify!($name), Bug::Nothing, Flaw::$name) };
}

mutants! {
    store RotatesUnguarded;
    store RotatesWhatExpired;
    store ChecksThenRotates;
    store DrawsTheSuccessor;
    store ForgetsTheReuse;
    store CommitsChangeByChange;
    store CommitsTheFirstHalf;
    store RepliesBeforeTheCommit;
    store AppliesWhatComesBehindAFailure;
    store DropsAuditEvents;
    store ChecksTheAddressThenInserts;
    store IgnoresTheEpoch;
    store ChecksTheEpochThenBegins;
    store ChecksThePasswordThenReplaces;
    store ReplacesAnyPassword;
    store ForgetsTheException;
    store LosesRevokeAll;
    store ReportsNoRevocation;
    store RevokesAgain;
    store EnforcesNoCap;
    store CapIsOneTooMany;
    store CapCountsByAge;
    store CountsThenEnforcesTheCap;
    node TellsNobody;
    node IgnoresGaps;
    node CatchesUpFromNow;
    node PollsWithoutOverlap;
    node ForgetsTooEarly;
}
