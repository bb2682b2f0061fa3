//! `users import` and `users wrap-hashes` of the real binary: hostile files, kills in the middle, logins afterwards.

#[path = "support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use authkit_sqlx::testkit::PgServer;
use serde_json::json;
use support::Server;
use tempfile::TempDir;

/// `U*U` (Openwall crypt_blowfish, wrapper.c).
const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn file(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("writes");
    path
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

async fn login(server: &Server, email: &str, password: &str) -> u16 {
    server.post("/api/v1/auth/login", &json!({ "email": email, "password": password })).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_file_is_taken_line_by_line_and_every_refusal_is_reported() {
    let (server, folder) = (Server::place(), folder());
    let mut csv = b"\xef\xbb\xbfemail,email_verified,full_name,status,created_at,password_hash,external_id\r\n".to_vec();
    for line in [
        format!("ada@example.com,true,\"Lovelace, Ada\",active,2020-01-02T03:04:05Z,{BCRYPT},1"),
        format!("ADA@example.com,true,,,,{BCRYPT},2"),
        "plain@example.com,,,,,hunter2-is-secret,3".to_owned(),
        "=cmd|' /C calc'!A0,,,,,,4".to_owned(),
        "short@example.com,true".to_owned(),
        "quote@example.com,\"open".to_owned(),
        format!("{}@example.com,,,,,,5", "x".repeat(70_000)),
        "status@example.com,,,root,,,6".to_owned(),
        "time@example.com,,,,yesterday,,7".to_owned(),
        "future@example.com,,,,2999-01-01T00:00:00Z,,8".to_owned(),
        "heavy@example.com,,,,,\"$scrypt$ln=30,r=8,p=1$c2FsdHNhbHQ$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E\",9".to_owned(),
        "bea@example.com,no,,suspended,,,=10".to_owned(),
    ] {
        csv.extend_from_slice(line.as_bytes());
        csv.extend_from_slice(b"\r\n");
    }
    csv.extend_from_slice(b"\xff\xfe@example.com,,,,,,11\n");
    let (users, report, ids) = (file(&folder, "users.csv", csv), folder.path().join("report.csv"), folder.path().join("ids.csv"));
    let arguments = ["users", "import", path(&users), "--report", path(&report), "--id-map", path(&ids)];
    let dry = said(&server.run(&[&arguments[..], &["--dry-run"]].concat(), &[], "").await);
    assert_eq!(dry.0, Some(3), "{dry:?}");
    assert!(dry.1.starts_with("13 lines: 2 would be created, 0 there already, 0 "), "{dry:?}");
    let dry_report = fs::read_to_string(&report).expect("a report");
    let real = said(&server.run(&arguments, &[], "").await);
    assert_eq!(real.0, Some(3), "{real:?}");
    assert!(real.1.starts_with("13 lines: 2 created, 0 there already, 0 "), "{real:?}");
    let written = fs::read_to_string(&report).expect("a report");
    assert_eq!(written, dry_report, "a dry run says what happens");
    for (line, reason) in [
        (3, "same address"),
        (4, "plain text"),
        (5, "email: "),
        (6, "2 fields where the first line names 7"),
        (7, "a quote is not closed"),
        (8, "more than 65536 bytes"),
        (9, "neither active nor suspended"),
        (10, "RFC 3339"),
        (11, "created_at: lies in the future"),
        (12, "memory (128 * N * r)"),
        (14, "not UTF-8"),
    ] {
        let of_line =
            written.lines().find(|text| text.starts_with(&format!("{line},"))).unwrap_or_else(|| panic!("{line}: {written}"));
        assert!(of_line.contains(reason), "{of_line}");
    }
    assert_eq!(written.lines().count(), 12, "{written}");
    assert!(!written.contains("hunter2") && !written.contains("\n="), "{written}");
    assert!(written.contains(",'=cmd|"), "no cell is a formula: {written}");
    let ids = fs::read_to_string(&ids).expect("a map");
    assert!(ids.contains("\r\n1,") && ids.contains("\r\n'=10,"), "{ids}");
    assert!(!fs::exists(server.data_dir().join("../users.csv.import-state")).expect("looks"), "the state goes when it is done");

    let again = said(&server.run(&arguments, &[], "").await);
    assert!(again.1.starts_with("13 lines: 0 created, 2 there already, 0 there with another profile"), "{again:?}");
    let mut server = server;
    server.start_again().await;
    assert_eq!(login(&server, "ada@example.com", "U*V").await, 401);
    assert_eq!(login(&server, "ada@example.com", "U*U").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_lines_come_from_stdin_and_passwords_in_plain_text_do_not() {
    let server = Server::place();
    let lines = [
        json!({ "email": "ada@example.com", "email_verified": true, "password_hash": BCRYPT, "external_id": 17 }).to_string(),
        json!({ "email": "bea@example.com", "password": "secret-in-the-clear" }).to_string(),
        json!({ "email": "cid@example.com", "is_admin": true }).to_string(),
        json!({ "email": ["dee@example.com"] }).to_string(),
        "[1, 2]".to_owned(),
        "{\"email\": \"broken-secret".to_owned(),
    ];
    let arguments = ["users", "import", "-", "--format", "jsonl"];
    let (code, out, err) = said(&server.run(&arguments, &[], &lines.join("\n")).await);
    assert_eq!(code, Some(3), "{out}{err}");
    assert!(
        out.starts_with("6 lines: 1 created, 0 there already, 0 there with another profile and left as they are, 5 refused"),
        "{out}"
    );
    for reason in
        ["line 2: password: passwords in plain text", "line 3: the member \"is_admin\"", "line 4: ", "line 5: no JSON object"]
    {
        assert!(err.contains(reason), "{reason}: {err}");
    }
    assert!(!err.contains("secret"), "{err}");

    for (header, complaint) in [
        ("email,password\n", "plain text"),
        ("email,shoe_size\n", "\"shoe_size\" is not known"),
        ("full_name\n", "no column email"),
        ("email,email\n", "twice"),
        ("", "must name the columns"),
    ] {
        let (code, _, err) = said(&server.run(&["users", "import", "-", "--format", "csv"], &[], header).await);
        assert!(code == Some(2) && err.contains(complaint), "{header:?}: {code:?} {err}");
    }
}

/// Kills imports in the middle, again and again, until one comes to the end.
async fn is_killed_and_goes_on(database: Option<&str>) {
    const USERS: usize = 4_000;
    let (server, folder) = (Server::place(), folder());
    let mut csv = "email,password_hash,external_id\n".to_owned();
    for user in 0..USERS {
        let _ = writeln!(csv, "user{user}@example.com,{BCRYPT},{user}");
    }
    let (users, ids) = (file(&folder, "users.csv", csv), folder.path().join("ids.csv"));
    let env: Vec<(&str, &str)> = database.map(|url| ("DATABASE_URL", url)).into_iter().collect();
    let arguments = ["users", "import", path(&users), "--id-map", path(&ids)];
    let (mut kills, mut state) = (0, String::new());
    let last = loop {
        let ended = server.run_for(&arguments, &env, std::time::Duration::from_millis(900 + 150 * kills)).await;
        match ended {
            Some(output) => break output,
            None => kills += 1,
        }
        state = fs::read_to_string(server.data_dir().join("../users.csv.import-state")).unwrap_or_default();
        assert!(kills < 60, "it never ends: {state}");
    };
    let (code, out, err) = said(&last);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(kills > 0, "nothing was interrupted");
    assert!(out.starts_with(&format!("{USERS} lines: ")) && out.contains(", 0 refused"), "{out}; {kills} kills, then {state}");
    let (_, out, _) = said(&server.run(&["users", "import", path(&users)], &env, "").await);
    assert!(out.starts_with(&format!("{USERS} lines: 0 created, {USERS} there already")), "nothing is lost or twice: {out}");
    let map = fs::read_to_string(&ids).expect("a map");
    let mapped: std::collections::BTreeSet<&str> = map.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert_eq!((map.lines().count(), mapped.len()), (USERS + 1, USERS), "each once");
    let ids: std::collections::BTreeSet<&str> = map.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(ids.len(), USERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_goes_on_where_it_was_on_sqlite() {
    is_killed_and_goes_on(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_goes_on_where_it_was_on_postgresql() {
    let postgres = PgServer::start().await;
    let url = format!("postgresql://postgres@localhost:{}/postgres", postgres.port());
    is_killed_and_goes_on(Some(&url)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrapped_hashes_log_in_and_peppers_are_held_against_what_they_were() {
    let (mut server, folder) = (Server::place(), folder());
    let csv = format!("email,password_hash\nada@example.com,{BCRYPT}\nbea@example.com,{BCRYPT}\n");
    let users = file(&folder, "users.csv", csv);
    let pepper = String::from_utf8(server.run(&["keys", "generate-pepper"], &[], "").await.stdout).expect("UTF-8");
    let pepper = [("AUTHKIT_PASSWORD_PEPPERS", pepper.trim())];
    assert_eq!(said(&server.run(&["users", "import", path(&users)], &pepper, "").await).0, Some(0));
    let dry = said(&server.run(&["users", "wrap-hashes", "--dry-run"], &pepper, "").await);
    assert!(dry.1.starts_with("2 hashes examined, 2 would be wrapped"), "{dry:?}");
    let wrapped = said(&server.run(&["users", "wrap-hashes"], &pepper, "").await);
    assert!(wrapped.1.starts_with("2 hashes examined, 2 wrapped"), "{wrapped:?}");
    let again = said(&server.run(&["users", "wrap-hashes"], &pepper, "").await);
    assert!(again.1.starts_with("2 hashes examined, 0 wrapped"), "{again:?}");

    let id = pepper[0].1.split(':').next().expect("an id");
    let other = format!("{id}:{}", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
    for (env, complaint) in
        [(vec![], "is not configured"), (vec![("AUTHKIT_PASSWORD_PEPPERS", other.as_str())], "is another secret")]
    {
        let (code, _, err) = said(&server.run(&["serve"], &env, "").await);
        assert!(code == Some(1) && err.contains(&format!("pepper-{id}")) && err.contains(complaint), "{code:?} {err}");
    }
    server.set("AUTHKIT_PASSWORD_PEPPERS", pepper[0].1);
    server.start_again().await;
    assert_eq!(login(&server, "ada@example.com", "U*V").await, 401);
    assert_eq!(login(&server, "ada@example.com", "U*U").await, 200);
    assert_eq!(login(&server, "ada@example.com", "U*U").await, 200);
    let examined = said(&server.run(&["users", "wrap-hashes", "--dry-run"], &[], "").await);
    assert!(examined.1.starts_with("2 hashes examined, 0 would be wrapped"), "{examined:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_given_to_new_accounts_and_a_line_with_one_that_there_is_not_is_refused() {
    let (mut server, folder) = (Server::place(), folder());
    let csv = format!(
        "email,password_hash,roles\nada@example.com,{BCRYPT},admin;user\nbea@example.com,{BCRYPT},\ncid@example.com,,owner\n\
         dee@example.com,,\"Admin\"\n"
    );
    let jsonl = format!(
        "{}\n{}\n{}\n",
        json!({ "email": "eve@example.com", "password_hash": BCRYPT, "roles": ["user"] }),
        json!({ "email": "fay@example.com", "roles": ["user admin"] }),
        json!({ "email": "gus@example.com", "roles": [{ "name": "user" }] }),
    );
    let (csv, jsonl) = (file(&folder, "users.csv", csv), file(&folder, "users.jsonl", jsonl));
    let report = folder.path().join("report.csv");
    let of_csv = said(&server.run(&["users", "import", path(&csv), "--report", path(&report)], &[], "").await);
    assert!(of_csv.0 == Some(3) && of_csv.1.starts_with("4 lines: 2 created"), "{of_csv:?}");
    let refused = fs::read_to_string(&report).expect("a report");
    assert!(refused.contains("4,cid@example.com,roles: there is no role `owner`"), "{refused}");
    assert!(refused.contains("5,dee@example.com,\"roles: must begin with a lower-case letter"), "{refused}");
    let of_jsonl = said(&server.run(&["users", "import", path(&jsonl)], &[], "").await);
    assert!(of_jsonl.0 == Some(3) && of_jsonl.1.starts_with("3 lines: 1 created"), "{of_jsonl:?}");
    let roles = async |email: &str| {
        let shown = said(&server.run(&["users", "show", email, "--format", "json"], &[], "").await).1;
        let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        shown["roles"].as_array().expect("roles").iter().map(|role| role["role"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(roles("ada@example.com").await, ["\"admin\"", "\"user\""]);
    assert!(roles("bea@example.com").await.is_empty());
    assert_eq!(roles("eve@example.com").await, ["\"user\""]);
    server.start_again().await;
    assert_eq!(login(&server, "ada@example.com", "U*U").await, 200);
}
