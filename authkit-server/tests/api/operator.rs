//! The command line on the data of a server that runs.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::account::{LOGIN, ME, PASSWORD, REFRESH, credentials, refresh_token, register};
use crate::support::Server;
use crate::{PUBLIC_URL, SETTINGS, settings_with};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    text(&output.stderr)
}

#[tokio::test]
async fn an_operator_makes_accounts_and_keys_beside_a_server_that_runs() {
    let server = Server::start(&settings_with(&[PUBLIC_URL])).await;
    let tokens = register(&server, "ada@example.com").await;

    let create = async |email: &str, password: &str| {
        server.run(&["users", "create", "--email", email, "--full-name", "Grace Hopper", "--password-stdin"], &[], password).await
    };
    let id = done(&create("grace@example.com", &format!("{PASSWORD}\n")).await);
    let logged_in = server.post(LOGIN, &credentials("grace@example.com")).await.expect(200).json();
    assert_eq!((&logged_in["user"]["id"], &logged_in["user"]["full_name"]), (&json!(id.trim()), &json!("Grace Hopper")));
    assert!(failed(&create("GRACE@example.com", PASSWORD).await).contains("exists"));
    assert!(failed(&create("joan@example.com", "password1\n").await).contains("too easy to guess"));
    server.post(LOGIN, &credentials("joan@example.com")).await.problem(401, "auth.invalid_credentials");

    let states = |listed: &str, purpose: &str| {
        let of = listed.lines().filter(|line| line.starts_with(purpose));
        let mut states: Vec<_> = of.map(|line| line.split_whitespace().nth(1).expect("a state").to_owned()).collect();
        states.sort();
        states
    };
    let listed = done(&server.run(&["keys", "list"], &[], "").await);
    assert_eq!(
        (states(&listed, "access_token"), states(&listed, "refresh_token")),
        (vec!["current".into()], vec!["current".into()])
    );
    let rotated = done(&server.run(&["keys", "rotate"], &[], "").await);
    assert_eq!(states(&rotated, "access_token"), ["current", "next"]);
    let rotated = done(&server.run(&["keys", "rotate", "--now"], &[], "").await);
    assert_eq!(states(&rotated, "access_token"), ["current", "retired", "retired"]);
    server.get_as(ME, &tokens.access).await.expect(200);
    server.post(LOGIN, &credentials("ada@example.com")).await.expect(200);

    done(&server.run(&["migrate", "--check"], &[], "").await);
    let report: Value = serde_json::from_str(&done(&server.run(&["doctor", "--format", "json"], &[], "").await)).expect("JSON");
    let checks = report["checks"].as_array().expect("checks");
    for name in ["database", "keys", "master key", "clock"] {
        let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {report}"));
        assert_eq!(check["outcome"], "ok", "{check}");
    }
    assert!(failed(&server.run(&["serve"], &[], "").await).contains("AUTHKIT_LISTEN"), "the port is taken");

    // The tokens of before the rotation live on in a server that begins with the new keys.
    let mut server = server;
    server.restart().await;
    server.get_as(ME, &tokens.access).await.expect(200);
    server.post(REFRESH, &refresh_token(&tokens)).await.expect(200);
}

#[tokio::test]
async fn what_is_not_there_yet_or_broken_is_found_by_check_and_doctor() {
    let mut server = Server::start(SETTINGS).await;
    let elsewhere = server.data_dir().join("elsewhere");
    let moved = [("AUTHKIT_DATA_DIR", elsewhere.to_str().expect("UTF-8"))];
    assert!(failed(&server.run(&["migrate", "--check"], &moved, "").await).contains("run authkit-server migrate"));
    assert!(!elsewhere.exists(), "a check makes nothing");
    done(&server.run(&["migrate"], &moved, "").await);
    done(&server.run(&["migrate", "--check"], &moved, "").await);
    done(&server.run(&["doctor"], &moved, "").await);

    assert!(server.stop().await.success());
    fs::write(server.data_dir().join("authkit.sqlite3"), "not a database, and long enough to be looked at".repeat(100)).unwrap();
    fs::remove_file(server.data_dir().join("authkit.sqlite3-wal")).ok();
    let doctor = server.run(&["doctor"], &[], "").await;
    assert_eq!(doctor.status.code(), Some(1));
    assert!(
        text(&doctor.stdout).lines().any(|line| line.starts_with("fail") && line.contains("database")),
        "{}",
        text(&doctor.stdout)
    );
    failed(&server.run(&["serve"], &[], "").await);
}
