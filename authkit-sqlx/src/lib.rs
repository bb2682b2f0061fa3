//! The durable store of [AuthKit](authkit_core) on SQL databases, with its migrations: [`PgStore`] on PostgreSQL, [`SqliteStore`] in
//! a file.
//!
//! ```
//! use authkit_core::model::{Access, ChangeSet, FactorSet, User, UserChange, UserStatus};
//! use authkit_core::ports::{Store, UserReads};
//! use authkit_core::{Clock, Email, OsEntropy, SystemClock, UserId};
//! use authkit_sqlx::{SqliteOptions, SqliteStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let directory = tempfile::tempdir()?;
//! let store = SqliteStore::open(SqliteOptions::new(directory.path().join("authkit.db"))).await?;
//! store.migrate().await?;
//!
//! let now = SystemClock.now();
//! let user = User {
//!     id: UserId::generate(now, &OsEntropy),
//!     email: Email::parse("jane@example.com")?,
//!     email_verified_at: None,
//!     full_name: None,
//!     locale: None,
//!     status: UserStatus::Active,
//!     auth_epoch: 0,
//!     second_factors: FactorSet::NONE,
//!     access: Access::default(),
//!     version: 0,
//!     created_at: now,
//!     updated_at: now,
//! };
//! store.commit(&ChangeSet::new().and(UserChange::Insert(user.clone()))).await?;
//! assert_eq!(store.user_by_id(user.id).await?, Some(user));
//!
//! store.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # How it is laid out
//! A change becomes statements in one function per aggregate (`aggregate/`), with `$1` binds that both SQLite and PostgreSQL
//! take; where they differ, a dialect holds one constant each. Rows are decoded through a small trait over either driver's
//! row. What is left to a backend is how connections are opened and how statements are grouped into transactions. On PostgreSQL the
//! `authkit_` in front of a table's name becomes a schema of its own.
//!
//! # Your own transaction
//! [`PgStore::apply`] and [`SqliteStore::apply`] put a use case that was [planned](authkit_core::Planned) into a transaction that is
//! yours, together with your own rows.
//!
//! # Features
//! - `testkit`: a private PostgreSQL for tests, from the installed binaries.
//!
//! # Errors
//! A database that is away, full, locked or read-only is [`StoreError::Unavailable`](authkit_core::ports::StoreError), and nothing is
//! half-done. No error shows a statement or the name of a constraint; the cause is in its `source()`, for the log.

mod aggregate;
mod apply;
mod dialect;
mod migration;
mod mutant;
mod postgres;
mod reads;
mod row;
mod sqlite;
mod statement;
#[cfg(feature = "testkit")]
pub mod testkit;
mod unreachable;
mod value;
mod work;

pub use migration::{MigrateError, SchemaStatus};
pub use postgres::{PgOpenError, PgOptions, PgStore, PgUrlError, SchemaNameError};
pub use sqlite::{SqliteOpenError, SqliteOptions, SqliteStore, SqliteUrlError, WriterStats};

#[cfg(feature = "mutants")]
#[doc(hidden)]
pub use mutant::Mutant;
