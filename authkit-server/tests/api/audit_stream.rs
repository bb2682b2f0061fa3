//! The audit log handed on by the real binary: to a file that is rotated, and by two servers to one collector.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::account::{LOGIN, credentials, register};
use crate::support::Server;
use crate::{PUBLIC_URL, settings_with};

/// How long an event may take to be outside; about a second is what to expect.
const OUTSIDE_WITHIN: Duration = Duration::from_secs(20);

/// The ids of every event in the log, but for those of the export itself.
async fn log(server: &Server) -> BTreeSet<String> {
    let output = server.run(&["audit", "export"], &[], "").await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    events
        .filter(|event| event["action"] != "audit.exported")
        .map(|event| event["id"].as_str().expect("an id").to_owned())
        .collect()
}

fn ids(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}")));
    events.map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + OUTSIDE_WITHIN;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within {OUTSIDE_WITHIN:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_file_has_every_event_through_rotation_a_signal_and_a_crash() {
    let mut server = Server::start(&settings_with(&[("AUTHKIT_AUDIT_STREAM", "file:data/audit.jsonl"), PUBLIC_URL])).await;
    let (path, first) = (server.data_dir().join("audit.jsonl"), server.data_dir().join("audit.jsonl.1"));
    register(&server, "ada@example.com").await;
    let hostile = "=cmd|' /C calc'!A0\u{2028}\u{202e}";
    let login = json!({ "email": "grace@example.com", "password": hostile, "device_name": "x" });
    server.post(LOGIN, &login).await.expect(401);
    let all = log(&server).await;
    eventually("the first events", || all.iter().all(|id| ids(&path).contains(id))).await;
    assert_eq!(ids(&path).len(), ids(&path).iter().collect::<BTreeSet<_>>().len(), "none twice");
    let text = fs::read_to_string(&path).expect("reads");
    assert!(!text.contains("calc") && text.contains("\"reason\":\"unknown_account\""), "no password is in it");
    assert_eq!(
        fs::metadata(&path).map(|file| std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777).ok(),
        Some(0o600)
    );

    // As logrotate does it: moved, and the process told.
    fs::rename(&path, &first).expect("moves");
    let pid = Pid::from_raw(i32::try_from(server.pid()).expect("a pid")).expect("not zero");
    kill_process(pid, Signal::HUP).expect("a signal to our own child");
    server.post(LOGIN, &credentials("ada@example.com")).await.expect(200);
    let all = log(&server).await;
    let both = || ids(&first).into_iter().chain(ids(&path)).collect::<Vec<_>>();
    eventually("the events behind the rotation", || all.iter().all(|id| both().contains(id)) && path.exists()).await;

    let health = server.get("/health/ready").await.expect(200).json();
    let audit = &health["parts"]["audit"];
    assert_eq!((&audit["status"], &audit["stream"]["status"]), (&json!("up"), &json!("up")), "{health}");
    assert!(audit["unsealed_seconds"].is_u64() && audit["stream"]["behind_seconds"].is_u64(), "{health}");
    let metrics = server.get("/metrics").await.expect(200);
    let metrics = String::from_utf8_lossy(&metrics.body);
    for name in
        ["audit_unsealed_seconds", "audit_stream_behind_seconds", "audit_stream_delivered_total", "audit_stream_failures_total"]
    {
        assert!(metrics.contains(&format!("authkit_{name} ")), "{name} in {metrics}");
    }

    // It dies with events that were committed a moment ago. The next one waits until the lease is over.
    for _ in 0..5 {
        server.post(LOGIN, &credentials("ada@example.com")).await.expect(200);
    }
    server.kill();
    server.start_again().await;
    let all = log(&server).await;
    let end = Instant::now() + Duration::from_mins(1);
    while !all.iter().all(|id| both().contains(id)) {
        assert!(Instant::now() < end, "events are missing after a crash");
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn two_servers_hand_on_to_one_collector_and_one_at_a_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let target = format!("syslog+tcp://{}", listener.local_addr().expect("an address"));
    let (received, mut collected) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, from)) = listener.accept().await {
            let received = received.clone();
            tokio::spawn(async move {
                loop {
                    let mut length = 0;
                    loop {
                        match stream.read_u8().await {
                            Ok(b' ') => break,
                            Ok(digit) => length = length * 10 + usize::from(digit - b'0'),
                            Err(_) => return,
                        }
                    }
                    let mut message = vec![0; length];
                    if stream.read_exact(&mut message).await.is_err() {
                        return;
                    }
                    let message = String::from_utf8(message).expect("ASCII");
                    let id = message.split(" id=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id").to_owned();
                    drop(received.send((from, id)));
                }
            });
        }
    });
    let mut here = Server::start(&settings_with(&[("AUTHKIT_AUDIT_STREAM", target.as_str()), PUBLIC_URL])).await;
    let there = here.start_beside().await;
    register(&here, "ada@example.com").await;
    for _ in 0..4 {
        here.post(LOGIN, &credentials("ada@example.com")).await.expect(200);
        there.post(LOGIN, &credentials("ada@example.com")).await.expect(200);
    }
    let all = log(&here).await;
    let mut got = Vec::new();
    let mut take = || {
        while let Ok(one) = collected.try_recv() {
            got.push(one);
        }
        got.clone()
    };
    eventually("the events of both", || {
        let got = take();
        all.iter().all(|id| got.iter().any(|(_, other)| other == id))
    })
    .await;
    let got = take();
    assert_eq!(got.iter().map(|(from, _)| from).collect::<BTreeSet<_>>().len(), 1, "one of them: {got:?}");
    assert_eq!(got.len(), got.iter().map(|(_, id)| id).collect::<BTreeSet<_>>().len(), "and nothing twice");
    // The one that does it is killed, and the other goes on.
    let statuses = async |server: &Server| {
        let health = server.get("/health/ready").await.expect(200).json();
        health["parts"]["audit"]["stream"]["status"].as_str().expect("a status").to_owned()
    };
    let (mine, other) = (statuses(&here).await, statuses(&there).await);
    assert_eq!([mine.as_str(), other.as_str()].iter().filter(|status| **status == "up").count(), 1, "{mine} {other}");
    let mut there = there;
    let survivor = if mine == "up" {
        here.kill();
        &there
    } else {
        there.kill();
        &here
    };
    survivor.post(LOGIN, &credentials("ada@example.com")).await.expect(200);
    let all = log(survivor).await;
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        let got = take();
        if all.iter().all(|id| got.iter().any(|(_, other)| other == id)) {
            break;
        }
        assert!(Instant::now() < end, "the other one did not take over");
        sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(statuses(survivor).await, "up");
}

#[tokio::test]
async fn a_target_that_cannot_be_used_is_refused_at_the_start() {
    let place = Server::place();
    let tls = ("AUTHKIT_AUDIT_STREAM", "syslog+tls://logs.example");
    for (env, said) in [
        (&[("AUTHKIT_AUDIT_STREAM", "kafka://logs.example")][..], "names no file and no syslog"),
        (&[("AUTHKIT_AUDIT_STREAM", "syslog+tcp://me:canary@logs.example")], "has a part that it cannot have"),
        (&[("AUTHKIT_AUDIT_STREAM", "file:/nowhere/at/all/audit.jsonl")], "cannot be written"),
        (
            &[("AUTHKIT_AUDIT_STREAM", "syslog+tcp://logs.example"), ("AUTHKIT_AUDIT_STREAM_CA_FILE", "ca.pem")],
            "is not encrypted",
        ),
        (&[tls, ("AUTHKIT_AUDIT_STREAM_CA_FILE", "nowhere.pem")], "cannot be read"),
    ] {
        let output = place.run(&["serve"], env, "").await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && complaint.contains("AUTHKIT_AUDIT_STREAM"), "{env:?}: {complaint}");
        assert!(complaint.contains(said), "{env:?}: {complaint}");
    }
}
