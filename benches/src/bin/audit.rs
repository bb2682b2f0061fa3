//! What the audit log costs: `audit [events]` appends them, seals them, verifies them and hands them on, in memory, on SQLite and on a
//! PostgreSQL of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use authkit_benches::stopwatch::now;
use authkit_core::embedded::{LocalKeyCustody, MemoryStore};
use authkit_core::flows::VerifyOptions;
use authkit_core::model::{AuditEvent, ChangeSet};
use authkit_core::ports::{AuditSink, AuditSinkError, Store};
use authkit_core::testkit::Fixtures;
use authkit_core::{AuditEventId, AuthKit, Clock as _, Config, OsEntropy, SystemClock};
use authkit_sqlx::testkit::TestDatabase;
use authkit_sqlx::{PgStore, SqliteOptions, SqliteStore};

/// How many events one change set appends here.
const BATCH: usize = 200;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let events = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    println!("{events} events a second:\n{:12} {:>10} {:>10} {:>10} {:>10}", "", "appended", "sealed", "verified", "handed on");
    measure("memory", events, Arc::new(MemoryStore::new())).await?;
    let directory = tempfile::tempdir()?;
    let sqlite = SqliteStore::open(SqliteOptions::new(directory.path().join("audit.sqlite3"))).await?;
    sqlite.migrate().await?;
    measure("SQLite", events, Arc::new(sqlite)).await?;
    let database = TestDatabase::fresh().await;
    let postgres = PgStore::open(database.options()).await?;
    postgres.migrate().await?;
    measure("PostgreSQL", events, Arc::new(postgres)).await
}

/// Takes everything and does nothing with it.
#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl AuditSink for Nowhere {
    fn name(&self) -> &'static str {
        "nowhere:"
    }

    async fn deliver(&self, _: &[AuditEvent]) -> Result<(), AuditSinkError> {
        Ok(())
    }
}

async fn measure(what: &str, events: usize, store: Arc<dyn Store>) -> Result<(), Failure> {
    let custody = Arc::new(LocalKeyCustody::ephemeral(Arc::new(OsEntropy)));
    let builder = AuthKit::builder(Config::new("https://auth.example")).store(Arc::clone(&store)).custody(custody);
    // Nothing happens by itself.
    let auth = builder.audit_sink(Arc::new(Nowhere)).build_unattended().await?;
    let (fixtures, begun) = (Fixtures::new(1), SystemClock.now() - Duration::from_hours(2));
    let start = now();
    for batch in 0..events / BATCH {
        let changes = (0..BATCH).map(|index| {
            // All of it old enough to be sealed.
            let at = begun + Duration::from_micros(u64::try_from(batch * BATCH + index).unwrap_or_default() * 10);
            let event = fixtures.event(fixtures.user().id).with("reason", "wrong_password").with("email", "user@example.com");
            AuditEvent { id: AuditEventId::generate(at, &OsEntropy), at, ..event }
        });
        store.commit(&changes.fold(ChangeSet::new(), ChangeSet::and)).await?;
    }
    let appended = start.elapsed();
    let start = now();
    let mut sealed = 0;
    loop {
        let round = auth.audit().seal().await?;
        sealed += round.events;
        if round.seals == 0 {
            break;
        }
    }
    let sealing = start.elapsed();
    let start = now();
    let found = auth.audit().verify(&VerifyOptions::default()).await?;
    let verifying = start.elapsed();
    let start = now();
    let handed_on = auth.audit().hand_on().await?;
    let handing_on = start.elapsed();
    // The keys of this node have events of their own, which are too young to be sealed.
    if !found.is_intact() || sealed < u64::try_from(events)? || found.events != sealed || handed_on < events {
        return Err(format!("{sealed} sealed, {} verified, {handed_on} handed on, of {events}", found.events).into());
    }
    #[expect(clippy::cast_precision_loss, reason = "a count below 2^52")]
    let rate = |count: u64, took: Duration| count as f64 / took.as_secs_f64();
    let (total, handed_on) = (u64::try_from(events)?, u64::try_from(handed_on)?);
    println!(
        "{what:12} {:>10.0} {:>10.0} {:>10.0} {:>10.0}",
        rate(total, appended),
        rate(sealed, sealing),
        rate(found.events, verifying),
        rate(handed_on, handing_on)
    );
    Ok(())
}
