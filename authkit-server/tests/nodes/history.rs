//! What clients did and what they were told: an append-only record, from which everything is judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::stopwatch::Stopwatch;

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    Register,
    /// A login, with a password that the client knows to be right, or only thinks might be.
    LogIn {
        is_guess: bool,
    },
    /// The end of the session with this refresh token.
    LogOut {
        token: String,
    },
    /// The successor of this refresh token.
    Refresh {
        token: String,
    },
    ChangePassword,
}

impl Deed {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Register => "registrations",
            Self::LogIn { .. } => "logins",
            Self::LogOut { .. } => "logouts",
            Self::Refresh { .. } => "refreshes",
            Self::ChangePassword => "changes of a password",
        }
    }
}

/// What it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done; here is the refresh token, where one belongs to it.
    Done { token: Option<String> },
    /// It was refused, and nothing was done.
    Refused { status: u16, code: String },
    /// No node took the request.
    NotSent,
    /// It was done or not: the reply was lost on the way, or the server does not know either.
    Unknown { why: String },
}

/// One line of the record.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The account.
    pub(crate) email: String,
    pub(crate) deed: Deed,
    /// When it was asked for and when the client was told, since the record began. No end: the client was never told.
    pub(crate) invoked: Duration,
    pub(crate) ended: Option<(Duration, Outcome)>,
}

impl Entry {
    /// How long the client waited, if it was told.
    pub(crate) fn took(&self) -> Option<Duration> {
        self.ended.as_ref().map(|(at, _)| at.saturating_sub(self.invoked))
    }

    /// What the client was told; nothing is `None`, and as good as [`Outcome::Unknown`].
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.ended.as_ref().map(|(_, outcome)| outcome)
    }
}

/// The record.
#[derive(Debug)]
pub(crate) struct History {
    watch: Stopwatch,
    entries: Mutex<Vec<Entry>>,
}

/// Names an entry that has not ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open(usize);

impl History {
    pub(crate) fn new() -> Self {
        Self { watch: Stopwatch::start(), entries: Mutex::default() }
    }

    /// Notes what is about to be asked for.
    pub(crate) fn invoke(&self, email: &str, deed: Deed) -> Open {
        let entry = Entry { email: email.to_owned(), deed, invoked: self.watch.elapsed(), ended: None };
        let mut entries = self.lock();
        entries.push(entry);
        Open(entries.len() - 1)
    }

    /// Notes what the client was told.
    pub(crate) fn end(&self, open: Open, outcome: Outcome) {
        let at = self.watch.elapsed();
        self.lock()[open.0].ended = Some((at, outcome));
    }

    /// Everything so far.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often something was done, and how often that is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) done: i64,
    pub(crate) unknown: i64,
}

impl Count {
    /// Whether so many times is what the clients know.
    pub(crate) const fn allows(self, found: i64) -> bool {
        self.done <= found && found <= self.done + self.unknown
    }

    const fn add(&mut self, outcome: Option<&Outcome>) {
        match outcome {
            Some(Outcome::Done { .. }) => self.done += 1,
            Some(Outcome::Unknown { .. }) | None => self.unknown += 1,
            Some(Outcome::Refused { .. } | Outcome::NotSent) => {}
        }
    }
}

/// What the clients know of one account.
#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    pub(crate) registrations: Count,
    pub(crate) logins: Count,
    pub(crate) password_changes: Count,
    /// By the token that was presented.
    logouts: BTreeMap<String, Count>,
    /// By the token that was presented, with the successors that were brought.
    refreshes: BTreeMap<String, (Count, BTreeSet<String>)>,
    /// What was refused that should not have been.
    pub(crate) wronged: Vec<Entry>,
}

impl Knowledge {
    /// What a record says, by account.
    pub(crate) fn of(entries: &[Entry]) -> BTreeMap<String, Self> {
        let mut known: BTreeMap<String, Self> = BTreeMap::new();
        for entry in entries {
            known.entry(entry.email.clone()).or_default().add(entry);
        }
        known
    }

    fn add(&mut self, entry: &Entry) {
        let outcome = entry.outcome();
        match &entry.deed {
            Deed::Register => self.registrations.add(outcome),
            Deed::LogIn { .. } => self.logins.add(outcome),
            Deed::ChangePassword => self.password_changes.add(outcome),
            Deed::LogOut { token } => self.logouts.entry(token.clone()).or_default().add(outcome),
            Deed::Refresh { token } => {
                let (count, successors) = self.refreshes.entry(token.clone()).or_default();
                count.add(outcome);
                if let Some(Outcome::Done { token: Some(successor) }) = outcome {
                    successors.insert(successor.clone());
                }
            }
        }
        if let Some(Outcome::Refused { status, code }) = outcome {
            let is_expected = match entry.deed {
                Deed::LogIn { is_guess } => is_guess && *status == 401,
                // A change that was given up for lost can arrive late, and ends the sessions that began meanwhile.
                Deed::ChangePassword => self.password_changes.unknown > 0 && matches!(status, 401 | 403),
                Deed::Register | Deed::LogOut { .. } | Deed::Refresh { .. } => false,
            };
            if !is_expected && code != "service.overloaded" {
                self.wronged.push(entry.clone());
            }
        }
    }

    /// The sessions that were logged out of: asked for twice, it happened once.
    pub(crate) fn ended_sessions(&self) -> Count {
        once_each(self.logouts.values())
    }

    /// The rotations: asked for twice with one token, it happened once.
    pub(crate) fn rotations(&self) -> Count {
        once_each(self.refreshes.values().map(|(count, _)| count))
    }

    /// Every token that brought more than one successor, with these.
    pub(crate) fn forks(&self) -> impl Iterator<Item = (&String, &BTreeSet<String>)> {
        let all = self.refreshes.iter().map(|(token, (_, successors))| (token, successors));
        all.filter(|(_, successors)| successors.len() > 1)
    }
}

fn once_each<'c>(counts: impl Iterator<Item = &'c Count>) -> Count {
    counts.fold(Count::default(), |sum, count| match *count {
        Count { done: 1.., .. } => Count { done: sum.done + 1, ..sum },
        Count { unknown: 1.., .. } => Count { unknown: sum.unknown + 1, ..sum },
        Count { .. } => sum,
    })
}
