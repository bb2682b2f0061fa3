//! What can be measured: one file per scenario, and the list of them all.

mod cold_start;
mod hash;
mod idle_rss;
mod login;
mod login_rss;
mod me;
mod me_under_logins;
pub(crate) mod refresh;
mod register;
mod storm;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::context::{Context, ScenarioError};
use crate::report::Report;

/// A scenario that runs.
pub type Running = Pin<Box<dyn Future<Output = Result<Report, ScenarioError>> + Send>>;

/// One thing that can be measured.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its name on the command line and in its JSON line.
    pub name: &'static str,
    /// What it measures.
    pub about: &'static str,
    /// Runs it.
    pub run: fn(Arc<Context>) -> Running,
}

/// All scenarios, in the order in which they run: first what wants a server that has done little.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "cold_start",
        about: "time from exec to the first 200, on an existing database",
        run: |context| Box::pin(cold_start::run(context)),
    },
    Scenario {
        name: "idle_rss",
        about: "memory of a server that does nothing, fresh and after use",
        run: |context| Box::pin(idle_rss::run(context)),
    },
    Scenario {
        name: "hash",
        about: "password hashes per second on all cores, without a server",
        run: |context| Box::pin(hash::run(context)),
    },
    Scenario { name: "register", about: "registrations per second", run: |context| Box::pin(register::run(context)) },
    Scenario {
        name: "login",
        about: "logins per second, and as a share of what the hash alone gives in the same run",
        run: |context| Box::pin(login::run(context)),
    },
    Scenario { name: "me", about: "profiles per second, with p50 and p99", run: |context| Box::pin(me::run(context)) },
    Scenario { name: "refresh", about: "refreshes per second by 64 chains", run: |context| Box::pin(refresh::run(context)) },
    Scenario {
        name: "me_under_logins",
        about: "p99 of profiles at a constant rate, idle and while logins saturate the hashing threads",
        run: |context| Box::pin(me_under_logins::run(context)),
    },
    Scenario { name: "login_rss", about: "memory under 256 concurrent logins", run: |context| Box::pin(login_rss::run(context)) },
];

/// A name that no scenario has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no scenario is called {name:?}; --list names them")]
pub struct UnknownScenario {
    name: String,
}

/// The scenarios that are named, in the order of the list; all when none is named.
pub fn select(names: &[String]) -> Result<Vec<&'static Scenario>, UnknownScenario> {
    if let Some(name) = names.iter().find(|name| ALL.iter().all(|scenario| scenario.name != **name)) {
        return Err(UnknownScenario { name: name.clone() });
    }
    Ok(ALL.iter().filter(|scenario| names.is_empty() || names.iter().any(|name| name == scenario.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_select_and_an_unknown_one_is_refused() {
        assert_eq!(select(&[]).expect("all").len(), ALL.len());
        let two = select(&["me".to_owned(), "cold_start".to_owned()]).expect("both exist");
        assert_eq!(two.iter().map(|scenario| scenario.name).collect::<Vec<_>>(), ["cold_start", "me"]);
        assert!(select(&["me".to_owned(), "mee".to_owned()]).is_err());
    }

    #[test]
    fn every_name_is_there_once() {
        let names: std::collections::HashSet<_> = ALL.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
