//! How a connection is opened, and what the database has to be.

use authkit_core::ports::StoreError;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Error, PgConnection, Row};
use tokio::time::timeout;

use crate::postgres::error::store_error;
use crate::postgres::options::PgOptions;
use crate::unreachable::Unreachable;

/// The oldest version that is tested, as `server_version_num` says it.
const OLDEST: i32 = 140_000;

/// Why the database could not be opened. No variant shows a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PgOpenError {
    /// The user or the password is wrong, or the server takes no such connection from here.
    #[error("PostgreSQL at {address} does not accept the user and the password")]
    Credentials {
        /// The host, the port and the database.
        address: String,
        /// What it said.
        source: StoreError,
    },
    /// There is no database of that name.
    #[error("PostgreSQL at {address} has no database of that name")]
    NoDatabase {
        /// The host, the port and the database.
        address: String,
        /// What it said.
        source: StoreError,
    },
    /// It takes no writes: it is a replica, or is set to read only.
    #[error("PostgreSQL at {address} is read-only: name the primary")]
    ReadOnly {
        /// The host, the port and the database.
        address: String,
    },
    /// It is too old.
    #[error("PostgreSQL at {address} has version {version}, and 14 is the oldest that is supported")]
    TooOld {
        /// The host, the port and the database.
        address: String,
        /// What it calls itself.
        version: String,
    },
    /// Its encoding cannot hold every name.
    #[error("the database at {address} has the encoding {encoding}, and needs UTF8")]
    Encoding {
        /// The host, the port and the database.
        address: String,
        /// Its encoding.
        encoding: String,
    },
    /// It does not answer, or not in time.
    #[error("PostgreSQL at {address} is not reachable: {}", reason(source))]
    Unreachable {
        /// The host, the port and the database.
        address: String,
        /// Why.
        source: StoreError,
    },
}

/// The first cause, which names the trouble: "connection refused", "the database did not answer in time".
fn reason(error: &StoreError) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    cause.unwrap_or_else(|| error.to_string())
}

/// A connection that works on requests.
pub(super) async fn working(options: &PgOptions) -> Result<PgConnection, StoreError> {
    open(options, &options.working()).await
}

/// A connection without the bounds of requests: a migration waits for its turn, and takes the time that it takes.
pub(super) async fn patient(options: &PgOptions) -> Result<PgConnection, StoreError> {
    open(options, &options.connect).await
}

async fn open(options: &PgOptions, connect: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    timeout(options.connect_timeout, connect.connect()).await.map_err(|_| Unreachable::Stalled)?.map_err(store_error)
}

/// Opens the first connection, and looks whether this is a database that we can work with.
pub(super) async fn first(options: &PgOptions) -> Result<PgConnection, PgOpenError> {
    let address = options.address();
    let opened = timeout(options.connect_timeout, options.working().connect()).await;
    let mut connection = match opened.map_err(|_| StoreError::from(Unreachable::Stalled)) {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(refused(address, error)),
        Err(source) => return Err(PgOpenError::Unreachable { address, source }),
    };
    let look = "SELECT current_setting('server_version_num')::int4, current_setting('server_version'), \
                current_setting('transaction_read_only') = 'on', current_setting('server_encoding')";
    let looked = timeout(options.connect_timeout, sqlx::query(look).fetch_one(&mut connection)).await;
    let Ok(looked) = looked else { return Err(PgOpenError::Unreachable { address, source: Unreachable::Stalled.into() }) };
    let read = |row: sqlx::postgres::PgRow| -> Result<(i32, String, bool, String), Error> {
        Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
    };
    match looked.and_then(read) {
        Err(error) => Err(refused(address, error)),
        Ok((number, version, ..)) if number < OLDEST => Err(PgOpenError::TooOld { address, version }),
        Ok((.., true, _)) => Err(PgOpenError::ReadOnly { address }),
        Ok((.., encoding)) if encoding != "UTF8" => Err(PgOpenError::Encoding { address, encoding }),
        Ok(_) => Ok(connection),
    }
}

fn refused(address: String, error: Error) -> PgOpenError {
    let code = error.as_database_error().and_then(DatabaseError::code).unwrap_or_default().into_owned();
    let source = store_error(error);
    match code.as_str() {
        "3D000" => PgOpenError::NoDatabase { address, source },
        // invalid_authorization_specification (no line of pg_hba.conf fits), invalid_password
        "28000" | "28P01" => PgOpenError::Credentials { address, source },
        _ => PgOpenError::Unreachable { address, source },
    }
}
