//! The steps of a scale run: one file per step, and the list of them all.

mod fill;
mod http;
mod limit;
mod paired;
mod plans;
mod store;

use std::sync::Arc;

use super::{Running, Scale};

/// One thing that is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it looks at.
    pub about: &'static str,
    /// Runs it.
    pub run: fn(Arc<Scale>) -> Running,
}

/// All steps, in the order in which they run.
pub const ALL: &[Step] = &[
    Step { name: "fill", about: "how fast the databases were filled", run: |scale| Box::pin(fill::run(scale)) },
    Step {
        name: "plans",
        about: "whether every statement is an index lookup in the large database",
        run: |scale| Box::pin(plans::run(scale)),
    },
    Step {
        name: "store",
        about: "what the store takes for a login, a refresh and a profile, anywhere in the tables, small against large",
        run: |scale| Box::pin(store::run(scale)),
    },
    Step {
        name: "http",
        about: "what a login, a refresh and a profile cost over HTTP, small against large; more than --bound fails",
        run: |scale| Box::pin(http::run(scale)),
    },
    Step {
        name: "limit",
        about: "refreshes per second of the server against those of pgbench with the same statement, and where the time goes",
        run: |scale| Box::pin(limit::run(scale)),
    },
];

/// A name that no step has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no step is called {name:?}; --list names them")]
pub struct UnknownStep {
    name: String,
}

/// The steps that are named, in the order of the list; all when none is named.
pub fn select(names: &[String]) -> Result<Vec<&'static Step>, UnknownStep> {
    if let Some(name) = names.iter().find(|name| ALL.iter().all(|step| step.name != **name)) {
        return Err(UnknownStep { name: name.clone() });
    }
    Ok(ALL.iter().filter(|step| names.is_empty() || names.iter().any(|name| name == step.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_select_in_the_order_of_the_list_and_an_unknown_one_is_refused() {
        let two = select(&["limit".to_owned(), "fill".to_owned()]).expect("both exist");
        assert_eq!(two.iter().map(|step| step.name).collect::<Vec<_>>(), ["fill", "limit"]);
        assert_eq!(select(&[]).expect("all").len(), ALL.len());
        assert!(select(&["limits".to_owned()]).is_err());
    }
}
