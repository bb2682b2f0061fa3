//! The database as a kill left it: a copy of its files, read without the server.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use crate::clients::Histories;
use crate::support::HALF_MADE;

/// What SQLite itself can say about its rows, beside [`HALF_MADE`].
const BROKEN_REFERENCE: (&str, &str) = ("a broken reference", "SELECT count(*) FROM pragma_foreign_key_check");

/// A copy of the database's files.
#[derive(Debug)]
pub(super) struct Disk {
    _home: TempDir,
    database: PathBuf,
}

impl Disk {
    /// Copies the database of a data directory, with the log that it has not taken in yet. Nobody may write meanwhile.
    pub(super) fn copy(data_dir: &Path) -> Self {
        let original = database_of(data_dir);
        let name = original.file_name().expect("a file").to_string_lossy().into_owned();
        let home = tempfile::Builder::new().prefix("authkit-crash-").tempdir().expect("a temporary directory");
        fs::copy(&original, home.path().join(&name)).expect("the database can be copied");
        // Not the `-shm`: it is an index of the log, and a recovery makes it anew.
        let log = original.with_file_name(format!("{name}-wal"));
        if log.exists() {
            fs::copy(&log, home.path().join(format!("{name}-wal"))).expect("its log can be copied");
        }
        Self { database: home.path().join(name), _home: home }
    }

    /// Holds the files against everything that was acknowledged.
    pub(super) async fn check(&self, histories: &Histories) {
        // Not read-only: the first one who opens the copy recovers what the kill left in the log, as the server does.
        let options = SqliteConnectOptions::new().filename(&self.database).create_if_missing(false);
        let mut database = options.connect().await.expect("the database opens");
        let integrity: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut database).await.expect("readable");
        assert_eq!(integrity, "ok", "PROMISE BROKEN: the database is whole");
        for (what, sql) in HALF_MADE.iter().chain([&BROKEN_REFERENCE]) {
            let found: i64 =
                sqlx::query_scalar(*sql).fetch_one(&mut database).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(found, 0, "PROMISE BROKEN: nothing is half-made, and here is {what}");
        }
        check_accounts(&mut database, histories).await;
        check_chains(&mut database, histories).await;
        database.close().await.expect("closes");
    }
}

/// Every acknowledged registration and login is there.
async fn check_accounts(database: &mut SqliteConnection, histories: &Histories) {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT u.email_normal, (SELECT count(*) FROM authkit_sessions s WHERE s.user_id = u.id)
         FROM authkit_users u JOIN authkit_password_credentials c ON c.user_id = u.id WHERE u.status = 'active'",
    )
    .fetch_all(database)
    .await
    .expect("accounts are readable");
    let sessions: HashMap<String, i64> = rows.into_iter().collect();
    for email in histories.acknowledged_accounts() {
        assert!(sessions.contains_key(email), "PROMISE BROKEN: an acknowledged registration is not lost ({email})");
    }
    let mut logins: HashMap<&str, i64> = HashMap::new();
    for email in histories.acknowledged_logins() {
        *logins.entry(email).or_default() += 1;
    }
    for (email, acknowledged) in logins {
        // One more session began with the registration.
        let found = sessions[email];
        assert!(found > acknowledged, "PROMISE BROKEN: an acknowledged login is not lost ({email}: {found} sessions)");
    }
}

/// Every chain is at the generation that was acknowledged, or one ahead where a reply was lost; revoked sessions stay revoked.
async fn check_chains(database: &mut SqliteConnection, histories: &Histories) {
    // A session that was never refreshed tells with which number generations begin.
    let first: i64 =
        sqlx::query_scalar("SELECT min(generation) FROM authkit_sessions").fetch_one(&mut *database).await.expect("readable");
    for chain in &histories.chains {
        let rows: Vec<(i64, bool)> = sqlx::query_as(
            "SELECT s.generation, s.revoked_at IS NOT NULL FROM authkit_sessions s JOIN authkit_users u ON u.id = s.user_id
             WHERE u.email_normal = $1",
        )
        .bind(&chain.email)
        .fetch_all(&mut *database)
        .await
        .expect("sessions are readable");
        let revoked = rows.iter().filter(|(_, revoked)| *revoked).count();
        assert_eq!(revoked, chain.revoked, "PROMISE BROKEN: an acknowledged revocation is not lost ({})", chain.email);
        let live: Vec<i64> = rows.iter().filter(|(_, revoked)| !revoked).map(|(generation, _)| generation - first).collect();
        let [generation] = live[..] else { panic!("PROMISE BROKEN: {} has one live session, not {live:?}", chain.email) };
        let expected = chain.rotations_on_disk();
        assert!(
            expected.contains(&generation),
            "PROMISE BROKEN: no acknowledged rotation is lost, and none happens twice ({}: {generation} rotations, not {expected:?})",
            chain.email
        );
    }
}

/// The one SQLite file of a data directory.
fn database_of(data_dir: &Path) -> PathBuf {
    let is_sqlite = |path: &PathBuf| {
        let mut magic = [0; 16];
        fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && &magic == b"SQLite format 3\0"
    };
    let files = fs::read_dir(data_dir).expect("a data directory").map(|entry| entry.expect("readable").path());
    let mut databases: Vec<_> = files.filter(is_sqlite).collect();
    assert_eq!(databases.len(), 1, "one database in {}", data_dir.display());
    databases.remove(0)
}
