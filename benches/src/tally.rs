//! What became of the requests of a run.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::api::Outcome;

/// How many samples of errors are kept, so that a report says what went wrong without repeating it a thousand times.
const SAMPLES: usize = 3;

/// Counts of outcomes. Only `ok` is ever divided by time: what was refused is not throughput.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tally {
    /// Answered as the contract says.
    pub ok: u64,
    /// Refused with 503 and `Retry-After`: the server protected itself.
    pub shed: u64,
    /// Any other answer, by status.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unexpected: BTreeMap<u16, u64>,
    /// No answer: connection refused or broken, or not within the time limit.
    pub lost: u64,
    /// The first few unexpected answers and losses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

impl Tally {
    /// Counts one outcome.
    pub fn record<T>(&mut self, outcome: &Outcome<T>) {
        match outcome {
            Outcome::Done(_) => self.ok += 1,
            Outcome::Shed { .. } => self.shed += 1,
            Outcome::Unexpected { status, excerpt } => {
                *self.unexpected.entry(*status).or_default() += 1;
                self.sample(|| format!("{status}: {excerpt}"));
            }
            Outcome::Lost(error) => {
                self.lost += 1;
                self.sample(|| error.to_string());
            }
        }
    }

    /// Counts requests that were due and never sent, because the server had fallen too far behind.
    pub fn give_up(&mut self, requests: u64) {
        if requests > 0 {
            self.lost += requests;
            self.sample(|| format!("{requests} requests were never sent: the server had fallen too far behind"));
        }
    }

    /// Adds all counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.ok += other.ok;
        self.shed += other.shed;
        self.lost += other.lost;
        for (status, count) in &other.unexpected {
            *self.unexpected.entry(*status).or_default() += count;
        }
        for error in &other.errors {
            self.sample(|| error.clone());
        }
    }

    /// Whether every request was answered as the contract says, or shed.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.unexpected.is_empty()
    }

    fn sample(&mut self, text: impl FnOnce() -> String) {
        if self.errors.len() < SAMPLES {
            let text = text();
            if !self.errors.contains(&text) {
                self.errors.push(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_shed_request_is_clean_and_no_success() {
        let mut tally = Tally::default();
        tally.record(&Outcome::<()>::Shed { retry_after: Duration::from_secs(1) });
        assert_eq!((tally.ok, tally.shed), (0, 1));
        assert!(tally.is_clean());
    }

    #[test]
    fn an_unexpected_status_spoils_the_run_and_is_sampled_once() {
        let mut tally = Tally::default();
        for _ in 0..5 {
            tally.record(&Outcome::<()>::Unexpected { status: 500, excerpt: "boom".to_owned() });
        }
        let mut total = Tally::default();
        total.record(&Outcome::Done(()));
        total.merge(&tally);
        assert!(!total.is_clean());
        assert_eq!(total.unexpected[&500], 5);
        assert_eq!(total.errors, ["500: boom"]);
    }

    #[test]
    fn requests_that_were_never_sent_are_lost() {
        let mut tally = Tally::default();
        tally.give_up(0);
        assert!(tally.is_clean());
        tally.give_up(7);
        assert_eq!(tally.lost, 7);
    }
}
