//! What is held after each trial, whatever was broken in it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;

use crate::checker::check;
use crate::clients::Ended;
use crate::cluster::Cluster;
use crate::crew::Crew;
use crate::history::{Entry, Outcome};
use crate::support::calls;

/// How long after its end a session may still be taken by another node, on a machine that runs every other test as well.
const KNOWN_EVERYWHERE: Duration = Duration::from_millis(2_500);
/// The same while one fault follows another: the looks of a node at the database, a second apart, can fail twice in a row.
const KNOWN_IN_SPITE_OF_ALL: Duration = Duration::from_secs(6);

/// Holds the database against the record, and the sessions that ended a while ago against every node.
pub(crate) async fn hold(crew: &Crew, cluster: &Cluster) {
    hold_all(crew, cluster, KNOWN_IN_SPITE_OF_ALL).await;
}

async fn hold_all(crew: &Crew, cluster: &Cluster, known_within: Duration) {
    check(&crew.history.entries(), &cluster.ledger().await);
    for (index, node) in cluster.nodes.iter().enumerate() {
        let mut connection = node.connect();
        for ended in crew.ended_sessions().filter(|ended| ended.age() > known_within) {
            let reply = connection.send(calls::only_verify(&ended.access_token)).await.expect("a reply");
            assert_eq!(
                reply.code(),
                "auth.session_ended",
                "PROMISE BROKEN: node {index} takes the token of a session that was logged out of {:?} ago",
                ended.age()
            );
        }
    }
}

/// Holds everything once more, the youngest ended session included, and reports.
pub(crate) async fn conclude(what: &str, crew: &Crew, cluster: &Cluster) -> Counts {
    let youngest = crew.ended_sessions().map(Ended::age).min().expect("somebody logged out");
    sleep(KNOWN_EVERYWHERE.saturating_sub(youngest) + Duration::from_millis(1)).await;
    hold_all(crew, cluster, KNOWN_EVERYWHERE).await;
    report(what, crew)
}

/// How often what came of which deed.
#[derive(Debug)]
pub(crate) struct Counts(BTreeMap<(&'static str, &'static str), u64>);

impl Counts {
    /// How often anything was asked for.
    pub(crate) fn all(&self) -> u64 {
        self.0.values().sum()
    }

    /// How often something came of any deed.
    pub(crate) fn of(&self, outcome: &str) -> u64 {
        self.0.iter().filter(|((_, came), _)| *came == outcome).map(|(_, count)| count).sum()
    }
}

/// Says how much was done, and fails when that was too little to prove anything.
pub(crate) fn report(what: &str, crew: &Crew) -> Counts {
    let mut counts = Counts(BTreeMap::new());
    let entries = crew.history.entries();
    for entry in &entries {
        let outcome = match entry.outcome() {
            Some(Outcome::Done { .. }) => "done",
            Some(Outcome::Refused { .. }) => "refused",
            Some(Outcome::NotSent) => "not sent",
            Some(Outcome::Unknown { .. }) | None => "unknown",
        };
        *counts.0.entry((entry.deed.name(), outcome)).or_default() += 1;
    }
    let slowest = entries.iter().filter_map(Entry::took).max().unwrap_or_default();
    println!("{what}: {:?}; the slowest took {slowest:.1?}", counts.0);
    assert!(counts.of("done") > 100, "too little was acknowledged to prove anything: {counts:?}");
    counts
}
