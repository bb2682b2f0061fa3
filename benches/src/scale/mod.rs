//! Whether an operation costs the same at ten thousand accounts and at a million, and how near a refresh comes to what
//! PostgreSQL gives: the steps of the binary `scale`.
//!
//! Two databases of one PostgreSQL server, small and large, are filled by `COPY` and measured in turn, round by round: what
//! disturbs the machine for a while disturbs both, and the ratio of a round means more than its figures.

pub mod copy;
pub mod cpu;
pub mod fill;
pub mod options;
pub mod pgbench;
pub mod plans;
pub mod population;
pub mod site;
mod step;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use authkit_core::config::{HashingConfig, PasswordConfig};
use authkit_core::password::{HashError, Hasher};
use authkit_core::ports::StoreError;
use authkit_core::{Clock as _, OsEntropy, Password, PasswordHash, SystemClock};
use authkit_sqlx::testkit::PgServer;
use authkit_sqlx::{MigrateError, PgOpenError, PgUrlError, SchemaNameError};

use crate::account::PASSWORD;
use crate::report::Report;
use crate::server::ServerError;
use options::Options;
use pgbench::PgbenchError;
use site::Site;

pub use step::{ALL, Step, UnknownStep, select};

/// Why a step could not be run to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScaleError {
    /// The URL names no PostgreSQL.
    #[error(transparent)]
    Url(#[from] PgUrlError),
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] PgOpenError),
    /// Its schema cannot be brought up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The name of the schema.
    #[error(transparent)]
    Schema(#[from] SchemaNameError),
    /// It refused a statement.
    #[error("PostgreSQL: {0}")]
    Sql(#[from] sqlx::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It holds accounts already.
    #[error("the database holds accounts already: a loader fills an empty one")]
    Occupied,
    /// It was filled by an earlier run, and most of its sessions have run out or are about to.
    #[error("the database {database} was filled more than 12 hours ago: drop it")]
    Stale {
        /// Its name.
        database: String,
    },
    /// The password cannot be hashed.
    #[error("hashing: {0}")]
    Hashing(#[from] HashError),
    /// A plan that is no JSON.
    #[error("a plan: {0}")]
    Plan(#[from] serde_json::Error),
    /// The step needs a server.
    #[error("name a server binary: --spawn target/release/authkit-server")]
    NoServer,
    /// The server did not start.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The sessions that are measured could not be begun.
    #[error("preparing: {0}")]
    Preparation(String),
    /// `pgbench` gave no figure.
    #[error(transparent)]
    Pgbench(#[from] PgbenchError),
    /// The system refused something.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The reports of a step, by name.
pub type Reports = Vec<(&'static str, Report)>;
/// A step that runs.
pub type Running = Pin<Box<dyn Future<Output = Result<Reports, ScaleError>> + Send>>;

/// What every step works with: two databases that are alike in everything but their size.
#[derive(Debug)]
pub struct Scale {
    options: Options,
    small: Site,
    large: Site,
    /// Ends with the run.
    _postgres: Option<PgServer>,
}

impl Scale {
    /// Starts PostgreSQL where none is named, and fills what is not filled yet.
    pub async fn new(options: Options) -> Result<Arc<Self>, ScaleError> {
        let (url, postgres) = if let Some(url) = &options.url {
            (url.clone(), None)
        } else {
            let server = PgServer::start_with(&options.postgres_settings()).await;
            (server.url(), Some(server))
        };
        let hash = hash(&options)?;
        let at = SystemClock.now();
        let size = |users: u64| (users, users.saturating_mul(options.sessions_per_user));
        let small = Site::prepare(&url, size(options.small_users), at, &hash).await?;
        let large = Site::prepare(&url, size(options.users), at, &hash).await?;
        Ok(Arc::new(Self { options, small, large, _postgres: postgres }))
    }

    /// The command line.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// The small database.
    #[must_use]
    pub const fn small(&self) -> &Site {
        &self.small
    }

    /// The large one.
    #[must_use]
    pub const fn large(&self) -> &Site {
        &self.large
    }
}

/// The hash of the password that every account has.
fn hash(options: &Options) -> Result<PasswordHash, ScaleError> {
    let mut config = PasswordConfig::default();
    config.params = options.hash_params();
    let mut hasher = Hasher::new(&HashingConfig::default(), &config, Arc::new(OsEntropy))?;
    let password = Password::parse(PASSWORD).map_err(|error| ScaleError::Preparation(error.to_string()))?;
    Ok(hasher.hash(&password)?)
}
