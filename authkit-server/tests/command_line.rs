//! The command line of the real binary: what it prints where, and with which exit code it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn authkit(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_authkit-server"));
    command.current_dir(dir).env_clear();
    command
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    authkit(dir).args(arguments).output().expect("the binary runs")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("UTF-8")
}

fn empty() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn broken_settings_stop_every_command_that_reads_them_with_2_before_anything_is_made() {
    let dir = empty();
    fs::write(dir.path().join(".env"), "JWT_ALGORITHM=HS256\nJWT_SECRET_KEY=your_secret_key\nAUTHKIT_LISTEN=nowhere\n").unwrap();
    for arguments in
        [&[][..], &["serve"], &["migrate"], &["config"], &["keys", "list"], &["keys", "rotate", "--now"], &["doctor"]]
    {
        let output = run(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let complaint = stderr(&output);
        assert!(
            complaint.contains("2 problems") && complaint.contains("AUTHKIT_LISTEN (.env line 3): \"nowhere\""),
            "{complaint}"
        );
        assert!(
            complaint.contains("JWT_SECRET_KEY (.env line 2)") && complaint.contains("openssl rand -base64 48"),
            "{complaint}"
        );
        assert!(!complaint.contains("your_secret_key") && !stdout(&output).contains("your_secret_key"));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing but .env");
}

#[test]
fn config_shows_value_source_and_default_without_secrets() {
    let dir = empty();
    fs::write(dir.path().join(".env"), "AUTHKIT_LOG=warn\nREDIS_URL=redis://:canary@r:6379\n").unwrap();
    let text = run(dir.path(), &["config"]);
    assert_eq!(text.status.code(), Some(0), "{}", stderr(&text));
    let line = |name: &str| stdout(&text).lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap().to_owned();
    assert!(line("AUTHKIT_LOG").ends_with("= warn  [.env line 1; default: info]"), "{}", line("AUTHKIT_LOG"));
    assert!(line("AUTHKIT_LISTEN").ends_with("= 127.0.0.1:8000  [default]"));
    assert!(line("REDIS_URL").contains("redis://:***@r:6379") && !stdout(&text).contains("canary"));

    let json = run(dir.path(), &["config", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let entry = document["settings"].as_array().unwrap().iter().find(|entry| entry["name"] == "AUTHKIT_LOG").unwrap();
    assert_eq!((&entry["value"], &entry["source"], &entry["default"]), (&"warn".into(), &".env line 1".into(), &"info".into()));
    assert_eq!(entry["key"], "operations.log");
    assert!(!stdout(&json).contains("canary"));
}

#[test]
fn env_example_and_the_generators_work_beside_broken_settings() {
    let dir = empty();
    fs::write(dir.path().join("authkit.toml"), "broken").unwrap();
    let example = run(dir.path(), &["config", "--format", "env-example"]);
    assert_eq!((example.status.code(), stdout(&example)), (Some(0), include_str!("../../.env.example")));
    for arguments in [&["keys", "generate-master"][..], &["keys", "generate-secret"], &["version"], &["--version"], &["--help"]] {
        assert_eq!(run(dir.path(), arguments).status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn what_the_generators_print_is_accepted_and_new_each_time() {
    let dir = empty();
    let generated = |what: &str| stdout(&run(dir.path(), &["keys", what])).trim_end().to_owned();
    let (secret, new, old) = (generated("generate-secret"), generated("generate-master"), generated("generate-master"));
    assert!(secret != generated("generate-secret") && new != old);
    let mut command = authkit(dir.path());
    command.env("JWT_ALGORITHM", "HS256").env("JWT_SECRET_KEY", &secret).env("AUTHKIT_MASTER_KEYS", format!("{new},{old}"));
    let output = command.arg("config").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!stdout(&output).contains(&secret) && !stdout(&output).contains(new.split_once(':').unwrap().1));
}

#[test]
fn a_wrong_command_line_ends_with_2_and_never_takes_a_password_as_an_argument() {
    let dir = empty();
    let wrong: [&[&str]; 6] = [
        &["serv"],
        &["config", "--format", "yaml"],
        &["users", "create", "--email", "ada@lovelace.org"],
        &["users", "create", "--email", "ada@lovelace.org", "--password", "x"],
        &["users", "create", "--email", "no address", "--password-stdin"],
        &["--config", "missing.toml", "config"],
    ];
    for arguments in wrong {
        let output = run(dir.path(), arguments);
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{arguments:?}");
    }
}

#[test]
fn the_config_option_stands_before_or_after_the_command() {
    let dir = empty();
    fs::write(dir.path().join("mine.toml"), "[operations]\nlog = \"error\"\n").unwrap();
    for arguments in [["--config", "mine.toml", "config"], ["config", "--config", "mine.toml"]] {
        assert!(stdout(&run(dir.path(), &arguments)).contains("= error  [mine.toml; default: info]"));
    }
}

#[test]
fn the_doctor_finds_an_exposed_key_and_an_exposed_secret_and_makes_nothing() {
    let dir = empty();
    let fresh = run(dir.path(), &["doctor"]);
    assert!(stdout(&fresh).contains("is made at the first start"), "{}", stdout(&fresh));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "the doctor changes nothing");

    fs::create_dir(dir.path().join("authkit-data")).unwrap();
    let key = run(dir.path(), &["keys", "generate-master"]).stdout;
    let key_file = dir.path().join("authkit-data/master.key");
    fs::write(&key_file, &key).unwrap();
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o644)).unwrap();
    let dotenv = dir.path().join(".env");
    fs::write(&dotenv, "REDIS_HOST=r\nREDIS_PASSWORD=canary\n").unwrap();
    fs::set_permissions(&dotenv, fs::Permissions::from_mode(0o644)).unwrap();
    let output = run(dir.path(), &["doctor", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let outcome = |name: &str| {
        document["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()["outcome"].clone()
    };
    assert_eq!((outcome("master key"), outcome("secrets")), ("fail".into(), "warn".into()));
    assert!(!stdout(&output).contains("canary"));
}

#[test]
fn a_reader_that_stops_early_is_no_failure() {
    let dir = empty();
    let mut child = authkit(dir.path()).arg("config").stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
