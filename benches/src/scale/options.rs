//! The command line of the scale run.

use std::path::PathBuf;

use authkit_core::config::Argon2Params;
use clap::Parser;

/// Measures what an operation costs at few and at many accounts in PostgreSQL, in one run, and how near a refresh comes to what
/// the database gives without a server. Prints one JSON line per figure.
///
/// Driver, server and PostgreSQL share this machine's cores, so every number is a lower bound.
#[derive(Debug, Clone, Parser)]
#[command(name = "scale", version)]
pub struct Options {
    /// The server binary; needed by the steps that go over HTTP.
    #[arg(long, value_name = "BINARY")]
    pub spawn: Option<PathBuf>,
    /// A PostgreSQL server on this machine in which databases are made, and found again by a later run; its user is a superuser.
    /// A private one otherwise, whose files go away with it.
    #[arg(long, value_name = "postgresql://USER@HOST:PORT/postgres")]
    pub url: Option<String>,
    /// A setting of the private PostgreSQL; may be repeated. It syncs nothing to disk (`fsync=off`) unless it is told to.
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "url")]
    pub postgres: Vec<String>,
    /// Which steps, separated by commas; all when none is named.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub step: Vec<String>,
    /// How many accounts the large database holds.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    pub users: u64,
    /// How many accounts the small one holds.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    pub small_users: u64,
    /// How many sessions an account has, in both.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub sessions_per_user: u64,
    /// How often everything is measured, small and large in turn.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub rounds: u64,
    /// How many seconds each measurement counts.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// What an operation may cost at most in the large database, as a multiple of the small one.
    #[arg(long, default_value_t = 1.2)]
    pub bound: f64,
    /// The memory of a hash in KiB, that of the accounts and that of the server.
    #[arg(long, default_value_t = Argon2Params::OWASP.memory_kib)]
    pub hash_memory_kib: u32,
    /// The passes of a hash, likewise.
    #[arg(long, default_value_t = Argon2Params::OWASP.iterations)]
    pub hash_iterations: u32,
    /// After the last step, print a table in Markdown on standard error.
    #[arg(long)]
    pub summary: bool,
    /// Name the steps and end.
    #[arg(long)]
    pub list: bool,
}

impl Options {
    /// The cost of a hash.
    #[must_use]
    pub const fn hash_params(&self) -> Argon2Params {
        Argon2Params { memory_kib: self.hash_memory_kib, iterations: self.hash_iterations, parallelism: 1 }
    }

    /// The settings of a private PostgreSQL: of a size that fits the data, as a server of its own would have, and those of the
    /// command line.
    #[must_use]
    pub fn postgres_settings(&self) -> Vec<String> {
        // The load of millions of rows is one checkpoint, and none of the background's falls into a measurement by its clock.
        let mut settings =
            vec!["shared_buffers=1GB".to_owned(), "max_wal_size=16GB".to_owned(), "checkpoint_timeout=1h".to_owned()];
        settings.extend(self.postgres.iter().cloned());
        settings
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_its_last_word_counts() {
        Options::command().debug_assert();
        let options = Options::try_parse_from(["scale", "--postgres", "fsync=on", "--step", "fill,plans"]).expect("parses");
        assert_eq!(options.step, ["fill", "plans"]);
        assert_eq!(options.postgres_settings().last().map(String::as_str), Some("fsync=on"));
        assert!(Options::try_parse_from(["scale", "--url", "x", "--postgres", "fsync=on"]).is_err());
    }
}
