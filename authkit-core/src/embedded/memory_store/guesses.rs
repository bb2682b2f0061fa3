//! The counts of wrong guesses.

use crate::model::{Committed, GuessChange, GuessSubject, Guesses};
use crate::ports::store::{CommitError, Conflict};

use super::table::Table;
use super::{Tables, next};

/// The counts, by the digest of their subject.
#[derive(Default)]
pub(super) struct GuessLog {
    counts: Table<[u8; 32], Guesses>,
}

impl GuessLog {
    /// The count of a subject.
    pub(super) fn of(&self, subject: GuessSubject) -> Option<Guesses> {
        self.counts.rows().get(subject.digest().as_bytes()).copied()
    }

    pub(super) fn keep(&mut self) {
        self.counts.keep();
    }

    pub(super) fn take_back(&mut self) {
        self.counts.take_back();
    }
}

pub(super) fn apply(tables: &mut Tables, change: &GuessChange, committed: &mut Committed) -> Result<(), CommitError> {
    let log = &mut tables.guesses;
    match change {
        GuessChange::Count { subject, at } => {
            let failures = next(log.of(*subject).map_or(0, |guesses| guesses.failures))?;
            log.counts.put(*subject.digest().as_bytes(), Guesses { failures, last_at: *at });
        }
        GuessChange::Reserve { subject, from, at } => {
            if log.of(*subject) != Some(*from) {
                return Err(Conflict::GuessesChanged.into());
            }
            log.counts.put(*subject.digest().as_bytes(), Guesses { failures: next(from.failures)?, last_at: *at });
        }
        GuessChange::Forget { subject } => log.counts.remove(subject.digest().as_bytes()),
        GuessChange::Purge { last_before, below, limit } => {
            let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
            let over = |guesses: &Guesses| guesses.last_at < *last_before && guesses.failures < *below;
            let old = log.counts.rows().iter().filter(|(_, guesses)| over(guesses)).map(|(subject, _)| *subject);
            for subject in old.take(limit).collect::<Vec<_>>() {
                log.counts.remove(&subject);
                committed.purged += 1;
            }
        }
    }
    Ok(())
}
