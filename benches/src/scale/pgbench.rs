//! PostgreSQL without a server in front: `pgbench` with the statement of a refresh.

use std::io::{self, Write as _};
use std::process::Stdio;

use authkit_sqlx::testkit::program;

/// The script.
pub const REFRESH: &str = include_str!("../../pgbench/refresh.sql");

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PgbenchError {
    /// It could not be run.
    #[error("cannot run pgbench: {0}")]
    Io(#[from] io::Error),
    /// A guard did not hold, or something else failed.
    #[error("pgbench failed:\n{said}")]
    Failed {
        /// What it said.
        said: String,
    },
}

/// Rotates one session for each of `clients` for some seconds, over as many connections, the sessions of accounts that are
/// `stride` apart; returns how often in a second. Blocks.
pub fn refreshes_per_second(url: &str, clients: u64, stride: u64, seconds: u64) -> Result<f64, PgbenchError> {
    let mut command = program("pgbench");
    // One thread for every core would do; one for every client at most.
    let threads = clients.min(2).to_string();
    command.args(["-n", "-M", "prepared", "-c", &clients.to_string(), "-j", &threads, "-T", &seconds.to_string()]);
    command.args(["-D", "s_generation=-1", "-D", &format!("stride={stride}"), "-f", "-", url]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // The user that it runs as may not be able to read the file.
    if let Some(mut script) = child.stdin.take() {
        script.write_all(REFRESH.as_bytes())?;
    }
    let ended = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    match transactions_per_second(&said) {
        Some(rate) if ended.status.success() => Ok(rate),
        _ => Err(PgbenchError::Failed { said: said + &String::from_utf8_lossy(&ended.stderr) }),
    }
}

/// The figure of a report in which no transaction failed.
fn transactions_per_second(said: &str) -> Option<f64> {
    let value = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.split_ascii_whitespace().next());
    if value("number of failed transactions: ").is_some_and(|failed| failed != "0") {
        return None;
    }
    value("tps = ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use authkit_sqlx::testkit::SentStatement;

    use super::*;
    use crate::scale::fill::SCHEMA;

    /// The text with one blank between words.
    fn words(text: &str) -> String {
        text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_script_holds_the_statement_that_the_store_sends() {
        let sent = SentStatement::rotation(SCHEMA).expect("a schema");
        let start = REFRESH.find("UPDATE").expect("a statement");
        let mut script = words(REFRESH[start..].split("\\gset").next().expect("a statement"));
        // The secret stays: what is presented is also what is written.
        script = script.replacen("secret = :s_secret", "secret = $4", 1);
        for (name, bind) in [
            (":session_id", "$1"),
            (":s_generation", "$2"),
            (":s_secret", "$3"),
            (":idle_expires_at", "$6"),
            (":ip", "$7"),
            (":user_agent", "$8"),
            (":at", "$5"),
        ] {
            script = script.replace(name, bind);
        }
        assert_eq!(script, words(sent.text()));
    }

    #[test]
    fn a_report_with_failures_has_no_figure() {
        let report = "number of failed transactions: 0 (0.000%)\ntps = 8912.25 (without initial connection time)\n";
        assert_eq!(transactions_per_second(report), Some(8_912.25));
        assert_eq!(transactions_per_second(&report.replace("transactions: 0 (", "transactions: 2 (")), None);
        assert_eq!(transactions_per_second("pgbench: error"), None);
    }
}
