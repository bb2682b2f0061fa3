//! What a scenario came to, as one JSON line and as rows of a table.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::closed_loop::Measured;
use crate::latency::Latencies;
use crate::tally::Tally;

/// One number of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// Its member in the JSON line; the unit is part of the name.
    pub key: &'static str,
    /// What it is, for a reader.
    pub label: &'static str,
    /// The number.
    pub value: f64,
    /// Its unit, for a reader.
    pub unit: &'static str,
}

/// What a scenario came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    measures: Vec<Measure>,
    requests: Tally,
    skipped: Option<&'static str>,
    faults: Vec<String>,
}

impl Report {
    /// A report without numbers yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A report of a scenario that cannot run here, and why.
    #[must_use]
    pub fn skipped(why: &'static str) -> Self {
        Self { skipped: Some(why), ..Self::default() }
    }

    /// Adds a number.
    #[must_use]
    pub fn with(mut self, key: &'static str, label: &'static str, value: f64, unit: &'static str) -> Self {
        self.measures.push(Measure { key, label, value, unit });
        self
    }

    /// Adds a percentile in µs; nothing when no request was done.
    #[must_use]
    pub fn with_percentile(self, key: &'static str, label: &'static str, latencies: &mut Latencies, percent: f64) -> Self {
        match latencies.percentile(percent) {
            Some(micros) => self.with(key, label, f64::from(micros), "µs"),
            None => self,
        }
    }

    /// Adds the requests of a run, whose failures make the scenario fail.
    #[must_use]
    pub fn counting(mut self, measured: &Measured) -> Self {
        self.requests.merge(&measured.tally);
        self
    }

    /// Adds what must not be, e.g. a figure beyond its bound; it makes the scenario fail.
    #[must_use]
    pub fn with_fault(mut self, fault: String) -> Self {
        self.faults.push(fault);
        self
    }

    /// Whether every request was answered as the contract says, or shed, and nothing else was found that must not be.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.requests.is_clean() && self.faults.is_empty()
    }

    /// The report of the scenario `name` as one line of JSON.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "names, numbers and texts are JSON")]
    pub fn to_line(&self, name: &str) -> String {
        serde_json::to_string(&Line { scenario: name, report: self }).expect("names, numbers and texts are JSON")
    }

    /// The report as rows of a table in Markdown.
    #[must_use]
    pub fn to_rows(&self, name: &str) -> String {
        let mut rows = Vec::new();
        for Measure { label, value, unit, .. } in &self.measures {
            let digits = if value.abs() < 10.0 { 2 } else { usize::from(value.abs() < 1_000.0) };
            rows.push(format!("| {name} | {label} | {value:.digits$} {unit} |"));
        }
        if let Some(why) = self.skipped {
            rows.push(format!("| {name} | skipped: {why} | |"));
        }
        if self.requests.shed > 0 {
            rows.push(format!("| {name} | shed with 503 | {} |", self.requests.shed));
        }
        if !self.requests.is_clean() {
            rows.push(format!("| {name} | **failed requests** | {:?} |", self.requests.errors));
        }
        rows.extend(self.faults.iter().map(|fault| format!("| {name} | **{fault}** | |")));
        rows.iter().map(|row| format!("{row}\n")).collect()
    }
}

/// The head of the table that [`Report::to_rows`] fills.
pub const TABLE_HEAD: &str = "| scenario | what | value |\n|---|---|---:|\n";

/// The order of the members is the order in which they were measured, which a map of `serde_json` would not keep.
struct Line<'a> {
    scenario: &'a str,
    report: &'a Report,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("scenario", self.scenario)?;
        if let Some(why) = self.report.skipped {
            map.serialize_entry("skipped", why)?;
            return map.end();
        }
        for measure in &self.report.measures {
            map.serialize_entry(measure.key, &((measure.value * 1_000.0).round() / 1_000.0))?;
        }
        map.serialize_entry("requests", &self.report.requests)?;
        if !self.report.faults.is_empty() {
            map.serialize_entry("faults", &self.report.faults)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::Outcome;

    #[test]
    fn a_report_is_one_line_of_json_in_the_order_of_measuring() {
        let mut measured = Measured::default();
        measured.tally.record(&Outcome::Done(()));
        let mut latencies = Latencies::default();
        latencies.record(Duration::from_micros(250));
        let report = Report::new()
            .with("login_per_s", "logins", 42.123_456, "/s")
            .with_percentile("p99_us", "p99", &mut latencies, 99.0)
            .with_percentile("none_us", "nothing", &mut Latencies::default(), 99.0)
            .counting(&measured);
        let expected = r#"{"scenario":"login","login_per_s":42.123,"p99_us":250.0,"requests":{"ok":1,"shed":0,"lost":0}}"#;
        assert_eq!(report.to_line("login"), expected);
        assert_eq!(report.to_rows("login"), "| login | logins | 42.1 /s |\n| login | p99 | 250.0 µs |\n");
        assert!(report.is_clean());
    }

    #[test]
    fn a_failed_request_shows_in_the_line_in_the_table_and_in_the_verdict() {
        let mut measured = Measured::default();
        measured.tally.record(&Outcome::<()>::Unexpected { status: 500, excerpt: "boom".to_owned() });
        let report = Report::new().counting(&measured);
        assert!(!report.is_clean());
        assert!(report.to_line("me").contains(r#""unexpected":{"500":1}"#));
        assert!(report.to_rows("me").contains("500: boom"));
    }

    #[test]
    fn a_fault_shows_in_the_line_in_the_table_and_in_the_verdict() {
        let report = Report::new().with_fault("1.30 is beyond 1.2".to_owned());
        assert!(!report.is_clean());
        assert!(report.to_line("http").ends_with(r#","faults":["1.30 is beyond 1.2"]}"#), "{}", report.to_line("http"));
        assert_eq!(report.to_rows("http"), "| http | **1.30 is beyond 1.2** | |\n");
    }

    #[test]
    fn a_skipped_scenario_says_why_and_has_no_numbers() {
        assert_eq!(Report::skipped("no process").to_line("idle_rss"), r#"{"scenario":"idle_rss","skipped":"no process"}"#);
    }
}
