//! The server on PostgreSQL: the seed's settings, and what is said when the database is not what it should be.

#[path = "support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use authkit_redis::testkit::RedisServer;
use authkit_sqlx::testkit::PgServer;
use serde_json::json;
use sqlx::{Connection as _, Executor as _};
use support::Server;

const PASSWORD: &str = "violet-anchor-7-mosaic";
const EMAIL: &str = "ada@example.com";
/// Within which a start that cannot work must have ended.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// A PostgreSQL with a user and a database as an operator makes them.
async fn database() -> PgServer {
    let postgres = PgServer::start().await;
    let mut connection = postgres.connect().await;
    connection.execute("CREATE ROLE app LOGIN PASSWORD 'opal-canary-42'").await.expect("a role");
    connection.execute("CREATE DATABASE userdb OWNER app").await.expect("a database");
    connection.close().await.expect("closes");
    postgres
}

fn url(postgres: &PgServer) -> String {
    format!("postgresql://app:opal-canary-42@localhost:{}/userdb", postgres.port())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_of_the_seed_start_the_server_on_postgresql_and_redis() {
    let (postgres, redis) = tokio::join!(database(), RedisServer::start_with_password("amber-canary-17"));
    let redis_port = redis.port().to_string();
    let server = Server::start(&[
        ("DATABASE_URL", &url(&postgres)),
        ("JWT_SECRET_KEY", "q8Zr+0c5Qm1xZ0T9yq2nVwKc7B4dS6fG"),
        ("JWT_ALGORITHM", "HS256"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "30"),
        ("REDIS_HOST", "localhost"),
        ("REDIS_PORT", &redis_port),
        ("REDIS_PASSWORD", "amber-canary-17"),
    ])
    .await;
    let account = json!({ "email": "user@example.com", "password": "SecurePass123", "full_name": "John Doe" });
    let registered = server.post("/api/v1/auth/register", &account).await.expect(201);
    assert_eq!(registered.json()["user"]["email"], "user@example.com");
    let login = json!({ "email": "user@example.com", "password": "SecurePass123" });
    let tokens = server.post("/api/v1/auth/login", &login).await.expect(200);
    server.get_as("/api/v1/users/me", &tokens.text("access_token")).await.expect(200);
    let logout = json!({ "refresh_token": tokens.text("refresh_token") });
    let reply = server.post("/api/v1/auth/logout", &logout).await.expect(200);
    assert_eq!(reply.json(), json!({ "message": "User logged out successfully" }));
    assert_eq!(server.get_as("/api/v1/users/me", &tokens.text("access_token")).await.status, 401);
    assert_eq!(server.get("/health/ready").await.expect(200).text("status"), "ready");
    assert!(!server.log().contains("canary"), "{}", server.log());
}

/// Starts a server that cannot start, and returns what it said.
async fn refused(database_url: &str) -> String {
    let place = Server::place();
    let start = now();
    let ended = place.run(&["serve"], &[("DATABASE_URL", database_url)], "").await;
    assert!(start.elapsed() < START_DEADLINE, "it took {:?}", start.elapsed());
    assert!(!ended.status.success());
    let said = String::from_utf8(ended.stderr).expect("UTF-8");
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("DATABASE_URL")).collect();
    assert_eq!(lines.len(), 1, "one line that names the setting: {said}");
    assert!(!said.contains("canary"), "{said}");
    lines[0].to_owned()
}

#[expect(clippy::disallowed_methods, reason = "only a duration is measured")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_used_stops_the_start_with_its_reason() {
    let postgres = database().await;
    let port = postgres.port();
    let mut admin = postgres.connect().await;
    // The cluster trusts everybody until it is told otherwise.
    let hba: String = sqlx::query_scalar("SHOW hba_file").fetch_one(&mut admin).await.expect("a path");
    std::fs::write(hba, "host all postgres all trust\nhost all all all scram-sha-256\n").expect("a file");
    admin.execute("SELECT pg_reload_conf()").await.expect("reloads");

    let said = refused(&format!("postgresql://app:wrong-canary@localhost:{port}/userdb")).await;
    assert!(said.contains("does not accept the user and the password"), "{said}");
    let said = refused(&format!("postgresql://app:opal-canary-42@localhost:{port}/nosuch")).await;
    assert!(said.contains("no database of that name"), "{said}");
    let said = refused("postgresql://app:opal-canary-42@localhost:9/userdb").await;
    assert!(said.contains("is not reachable") && said.contains("localhost:9/userdb"), "{said}");
    let said = refused("postgresql://app:opal-canary-42@no-such-host.invalid/userdb").await;
    assert!(said.contains("is not reachable"), "{said}");

    admin.execute("ALTER ROLE app SET default_transaction_read_only = on").await.expect("sets");
    let said = refused(&url(&postgres)).await;
    assert!(said.contains("is read-only"), "{said}");
    admin.execute("ALTER ROLE app RESET default_transaction_read_only").await.expect("resets");

    // A newer version was here.
    let server = Server::start(&[("DATABASE_URL", &url(&postgres))]).await;
    let check = server.run(&["migrate", "--check"], &[], "").await;
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    drop(server);
    let mut app = sqlx::postgres::PgConnection::connect(&url(&postgres)).await.expect("connects");
    let newer = "INSERT INTO authkit.migrations (version, name, checksum) VALUES (99, 'future', decode(repeat('00', 32), 'hex'))";
    app.execute(newer).await.expect("inserts");
    let said = refused(&url(&postgres)).await;
    assert!(said.contains("schema version 99") && said.contains("upgrade AuthKit"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_postgresql_is_away_tokens_are_verified_and_the_rest_says_when_to_come_back() {
    let mut postgres = database().await;
    let server = Server::start(&[("DATABASE_URL", &url(&postgres))]).await;
    let account = json!({ "email": EMAIL, "password": PASSWORD });
    let tokens = server.post("/api/v1/auth/register", &account).await.expect(201);
    let refresh = json!({ "refresh_token": tokens.text("refresh_token") });
    let access = tokens.text("access_token");
    let logged_out = server.post("/api/v1/auth/login", &account).await.expect(200);
    let logout = json!({ "refresh_token": logged_out.text("refresh_token") });
    server.post("/api/v1/auth/logout", &logout).await.expect(200);

    for crash in [true, false] {
        if crash {
            postgres.crash();
        } else {
            postgres.stop();
        }
        for (path, body) in
            [("/api/v1/auth/refresh", &refresh), ("/api/v1/auth/login", &account), ("/api/v1/auth/logout", &refresh)]
        {
            let start = now();
            let reply = server.post(path, body).await.expect(503);
            assert_eq!((reply.code().as_str(), reply.header("retry-after").is_empty()), ("service.unavailable", false), "{path}");
            // 4 s for the store, and what a busy machine adds.
            assert!(start.elapsed() < Duration::from_secs(8), "{path} took {:?}", start.elapsed());
        }
        // What is verified needs no database: a token whose session goes on is taken, and one whose session ended is not.
        assert_eq!(server.get_as("/api/v1/users/me", &access).await.expect(503).code(), "service.unavailable");
        assert_eq!(
            server.get_as("/api/v1/users/me", &logged_out.text("access_token")).await.expect(401).code(),
            "auth.session_ended"
        );
        assert_eq!(server.get("/health/live").await.status, 200);
        assert_eq!(server.get("/health/ready").await.status, 503);

        postgres.start_again().await;
        let start = now();
        while server.get("/health/ready").await.status != 200 {
            assert!(start.elapsed() < Duration::from_secs(5), "not ready again; its log:\n{}", server.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.get_as("/api/v1/users/me", &access).await.expect(200);
    }
    // Nothing was lost, and nothing that was refused has happened.
    server.post("/api/v1/auth/refresh", &refresh).await.expect(200);
    assert_eq!(
        server.post("/api/v1/auth/refresh", &json!({ "refresh_token": logged_out.text("refresh_token") })).await.status,
        401
    );
}
