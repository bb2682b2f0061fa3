//! One of the databases that are compared, and the server on it.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use authkit_core::{PasswordHash, Timestamp};
use authkit_sqlx::{PgOptions, PgStore};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, Row as _};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ScaleError;
use super::fill::{self, Filled, connect};
use super::options::Options;
use super::population::Population;
use crate::account::{Account, PASSWORD};
use crate::api::{self, Outcome};
use crate::client::Connection;
use crate::context::blocking;
use crate::hash_baseline::cores;
use crate::server::{Server, ServerSpec};

/// What seals the server's own keys in the database, whose every password is public anyway: a later run opens them again.
const MASTER_KEY: &str = "scale:YVtbtj6AWbillfYYDljTn6Umyc6e_7KzTrUPS_MO-xE";
/// Rows of an earlier run are used again for so long: sessions end a week after they began, and the oldest began six days before.
const FRESH: Duration = Duration::from_hours(12);

/// A database with its accounts.
#[derive(Debug)]
pub struct Site {
    people: Population,
    url: String,
    filled: Option<Filled>,
}

impl Site {
    /// Makes the database beside the one that `url` names and fills it; one that is filled already is used as it is.
    pub async fn prepare(
        url: &str,
        (users, sessions): (u64, u64),
        now: Timestamp,
        hash: &PasswordHash,
    ) -> Result<Self, ScaleError> {
        let name = format!("authkit_scale_{users}_{sessions}");
        let mut admin = connect(url).await?;
        let known = admin.fetch_one(AssertSqlSafe(format!("SELECT EXISTS (SELECT FROM pg_database WHERE datname = '{name}')")));
        if !known.await?.try_get(0)? {
            admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"))).await?;
        }
        let url = url.parse::<PgConnectOptions>()?.database(&name).to_url_lossy().to_string();
        // What this program would add is what the driver adds by itself; the store takes none of it.
        let url = url.split('?').next().unwrap_or_default().to_owned();
        let (filled, at) = match fill::filled_at(&mut connect(&url).await?).await? {
            Some(at) if now.since(at) > FRESH => return Err(ScaleError::Stale { database: name }),
            Some(at) => (None, at),
            None => (Some(fill::fill(&url, &Population { users, sessions, at: now }, hash).await?), now),
        };
        Ok(Self { people: Population { users, sessions, at }, url, filled })
    }

    /// Whose accounts it holds.
    #[must_use]
    pub const fn people(&self) -> &Population {
        &self.people
    }

    /// The URL of the database.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How it was filled, unless an earlier run did so.
    #[must_use]
    pub const fn filled(&self) -> Option<&Filled> {
        self.filled.as_ref()
    }

    /// The store on it.
    pub async fn store(&self) -> Result<PgStore, ScaleError> {
        Ok(PgStore::open(self.url.parse::<PgOptions>()?).await?)
    }

    /// A server on it.
    pub async fn serve(&self, binary: PathBuf, options: &Options) -> Result<Serving, ScaleError> {
        let settings: Vec<(String, OsString)> = vec![
            ("DATABASE_URL".to_owned(), self.url.clone().into()),
            ("AUTHKIT_MASTER_KEYS".to_owned(), MASTER_KEY.into()),
            ("AUTHKIT_ARGON2_MEMORY_KIB".to_owned(), options.hash_memory_kib.to_string().into()),
            ("AUTHKIT_ARGON2_ITERATIONS".to_owned(), options.hash_iterations.to_string().into()),
        ];
        let spec = ServerSpec::new(binary, settings)?;
        blocking(move || Ok(Serving { server: spec.start()?, _spec: spec })).await
    }
}

/// A server that runs on a database.
#[derive(Debug)]
pub struct Serving {
    server: Server,
    /// Its directory goes away with it.
    _spec: ServerSpec,
}

impl Serving {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }
}

/// Logs accounts in, each into a session of its own that the server's keys have signed, in the order of their numbers.
pub async fn log_in(address: SocketAddr, numbers: Vec<u64>) -> Result<Vec<Arc<Account>>, ScaleError> {
    // Two in flight for each core keep the hashing threads busy without being shed.
    let (workers, count) = (cores() * 2, numbers.len());
    let numbers: Arc<[u64]> = numbers.into();
    let mut tasks: JoinSet<_> = (0..workers)
        .map(|worker| {
            let numbers = Arc::clone(&numbers);
            async move {
                let mut connection = Connection::new(address);
                let mut accounts = Vec::new();
                for place in (worker..numbers.len()).step_by(workers) {
                    accounts.push((place, Arc::new(log_one_in(&mut connection, numbers[place]).await?)));
                }
                Ok::<_, ScaleError>(accounts)
            }
        })
        .collect();
    let mut accounts = Vec::with_capacity(count);
    while let Some(share) = tasks.join_next().await {
        accounts.extend(share.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))?);
    }
    accounts.sort_unstable_by_key(|(place, _)| *place);
    Ok(accounts.into_iter().map(|(_, account)| account).collect())
}

async fn log_one_in(connection: &mut Connection, number: u64) -> Result<Account, ScaleError> {
    let email = Population::email(number);
    loop {
        match api::login(connection, &email, PASSWORD).await {
            Outcome::Done(tokens) => return Ok(Account::new(email, tokens)),
            Outcome::Shed { retry_after } => sleep(retry_after).await,
            Outcome::Unexpected { status, excerpt } => {
                return Err(ScaleError::Preparation(format!("{email}: {status}: {excerpt}")));
            }
            Outcome::Lost(error) => return Err(ScaleError::Preparation(format!("{email}: {error}"))),
        }
    }
}
