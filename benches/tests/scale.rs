//! The loader, the look at the plans and pgbench against a PostgreSQL of the tests' own, at small sizes.

use std::collections::BTreeSet;

use authkit_benches::account::PASSWORD;
use authkit_benches::scale::fill::{connect, fill};
use authkit_benches::scale::options::Options;
use authkit_benches::scale::pgbench::{PgbenchError, refreshes_per_second};
use authkit_benches::scale::site::Site;
use authkit_benches::scale::{self, Scale, ScaleError, plans};
use authkit_core::config::{HashingConfig, PasswordConfig};
use authkit_core::model::{AuditFilter, Rotation, RotationOutcome};
use authkit_core::password::{Hasher, Verdict};
use authkit_core::ports::{AuditReads as _, SessionReads as _, Store as _, UserReads as _};
use authkit_core::{Clock as _, Digest, OsEntropy, PageRequest, Password, PasswordHash, SystemClock};
use authkit_sqlx::testkit::PgServer;
use authkit_sqlx::{PgOptions, PgStore};
use clap::Parser as _;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};

fn hasher() -> Hasher {
    let mut config = PasswordConfig::default();
    (config.params.memory_kib, config.params.iterations) = (8, 1);
    Hasher::new(&HashingConfig::default(), &config, std::sync::Arc::new(OsEntropy)).expect("parameters that Argon2 takes")
}

fn password() -> Password {
    Password::parse(PASSWORD).expect("a password")
}

fn hash() -> PasswordHash {
    hasher().hash(&password()).expect("hashes")
}

async fn site(server: &PgServer, size: (u64, u64)) -> Site {
    Site::prepare(&server.url(), size, SystemClock.now(), &hash()).await.expect("fills")
}

async fn indexes(connection: &mut PgConnection) -> BTreeSet<String> {
    let rows = connection.fetch_all("SELECT indexdef FROM pg_indexes WHERE schemaname = 'authkit'").await.expect("answers");
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn the_store_reads_what_the_loader_wrote_and_goes_on_from_there() {
    let server = PgServer::start().await;
    let site = site(&server, (40, 120)).await;
    let (people, now) = (site.people(), SystemClock.now());
    assert_eq!(site.filled().expect("it was empty").rows, 40 + 40 + 120 + 120);
    let store = site.store().await.expect("opens");
    let user = people.user(7);
    let found = store.credentials_by_email(&user.email).await.expect("reads").expect("an account");
    assert_eq!(found.user, user);
    let stored = found.password.expect("a password");
    assert!(matches!(hasher().verify(&password(), &stored), Ok(Verdict::Match { .. })));
    for number in 0..people.sessions {
        let (written, read) = (people.session(number), store.session_by_id(people.session(number).id).await.expect("reads"));
        assert_eq!(read.expect("a session").session, written);
    }
    let logins = store.audit_events(&AuditFilter::new().subject(user.id), PageRequest::default()).await.expect("reads").items;
    assert!(logins.len() == 3 && logins.iter().all(|login| login.subject == Some(user.id)), "{logins:?}");

    let session = people.session(1);
    let rotation = Rotation {
        session_id: session.id,
        generation: 0,
        presented: session.secret,
        successor: Digest::of(b"next"),
        at: now,
        idle_expires_at: session.idle_expires_at,
        client: session.created_by,
    };
    assert!(matches!(store.rotate(&rotation).await, Ok(RotationOutcome::Rotated(_))));
}

#[tokio::test]
async fn a_filled_database_has_every_index_of_an_empty_one_and_is_filled_once() {
    let server = PgServer::start().await;
    let first = site(&server, (40, 120)).await;
    let empty = PgStore::open(server.url().parse::<PgOptions>().expect("a URL")).await.expect("opens");
    empty.migrate().await.expect("migrates");
    let made = indexes(&mut connect(first.url()).await.expect("connects")).await;
    assert_eq!(made, indexes(&mut server.connect().await).await);
    assert!(made.len() > 8, "{made:?}");

    let again = site(&server, (40, 120)).await;
    assert!(again.filled().is_none() && again.people() == first.people(), "rows that are there are used again");
    let refused = fill(first.url(), first.people(), &hash()).await;
    assert!(matches!(refused, Err(ScaleError::Occupied)), "{refused:?}");
    let late = SystemClock.now() + std::time::Duration::from_hours(13);
    let stale = Site::prepare(&server.url(), (40, 120), late, &hash()).await;
    assert!(matches!(stale, Err(ScaleError::Stale { .. })), "{stale:?}");
}

#[tokio::test]
async fn every_statement_is_an_index_lookup_until_its_index_is_gone() {
    let server = PgServer::start().await;
    let site = site(&server, (10_000, 30_000)).await;
    let mut connection = connect(site.url()).await.expect("connects");
    let plans = plans::of_every_statement(&mut connection).await.expect("plans");
    assert!(plans.len() > 60, "only {} plans were looked at", plans.len());
    let faulty: Vec<_> = plans.iter().filter(|plan| !plan.faults.is_empty() || plan.cost > 5_000.0).collect();
    assert!(faulty.is_empty(), "{faulty:#?}");
    connection.execute("DROP INDEX authkit.users_email").await.expect("drops");
    let plans = plans::of_every_statement(&mut connection).await.expect("plans");
    let faulty: Vec<_> = plans.iter().filter(|plan| !plan.faults.is_empty()).collect();
    assert!(faulty.iter().any(|plan| plan.statement.contains("email_normal = $1")), "{faulty:?}");
    assert!(faulty.iter().all(|plan| plan.faults == ["Seq Scan on users"]), "{faulty:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbench_rotates_one_session_for_each_client_and_fails_where_there_is_none() {
    let server = PgServer::start().await;
    let site = site(&server, (40, 120)).await;
    let url = site.url().to_owned();
    let run = move || {
        let url = url.clone();
        tokio::task::spawn_blocking(move || refreshes_per_second(&url, 4, 10, 1))
    };
    assert!(run().await.expect("no panic").expect("a figure") > 0.0);
    let mut connection = connect(site.url()).await.expect("connects");
    let count = "SELECT count(*) FROM authkit.sessions WHERE generation > 0";
    assert_eq!(connection.fetch_one(count).await.expect("counts").get::<i64, _>(0), 4);
    let revoke = format!("UPDATE authkit.sessions SET revoked_at = {}, revoked_reason = 'logout'", 1);
    connection.execute(AssertSqlSafe(revoke)).await.expect("revokes");
    assert!(matches!(run().await.expect("no panic"), Err(PgbenchError::Failed { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_that_need_no_server_come_to_figures() {
    let server = PgServer::start().await;
    let url = server.url();
    let sizes = ["--users", "2000", "--small-users", "1000", "--rounds", "1", "--hash-memory-kib", "8", "--hash-iterations", "1"];
    let options = Options::try_parse_from(["scale", "--url", &url].into_iter().chain(sizes)).expect("a command line");
    let scale = Scale::new(options).await.expect("fills");
    for (step, keys) in [
        ("fill", ["rows_per_s", "database_mib"]),
        ("plans", ["plans", "greatest_cost"]),
        ("store", ["small_p50_us", "first_p50_ratio"]),
    ] {
        let step = scale::select(&[step.to_owned()]).expect("it exists")[0];
        let reports = (step.run)(std::sync::Arc::clone(&scale)).await.expect("it runs");
        for (name, report) in reports {
            let line: Value = serde_json::from_str(&report.to_line(name)).expect("a line of JSON");
            assert!(keys.iter().all(|key| line[key].as_f64().is_some_and(|figure| figure > 0.0)), "{line}");
        }
    }
    let http = scale::select(&["http".to_owned()]).expect("it exists")[0];
    assert!(matches!((http.run)(scale).await, Err(ScaleError::NoServer)));
}
