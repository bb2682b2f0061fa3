//! The master key opens what is sealed in the database. Without it, a start says so and touches nothing.

use std::fs;

use crate::account::{ME, register};
use crate::database;
use crate::support::Server;
use crate::{PUBLIC_URL, settings_with};

#[tokio::test]
async fn without_the_right_master_key_nothing_starts_and_nothing_changes() {
    let mut server = Server::start(&settings_with(&[PUBLIC_URL])).await;
    let token = register(&server, "ada@example.com").await.access;
    assert!(server.stop().await.success());
    let before = database::rows(&server).await;
    let key_file = server.data_dir().join("master.key");
    let key = fs::read_to_string(&key_file).expect("the generated key");
    let other = server.run(&["keys", "generate-master"], &[], "").await.stdout;
    let other = String::from_utf8(other).expect("text").trim().to_owned();

    // Lost.
    fs::remove_file(&key_file).expect("removed");
    for command in [&["serve"][..], &["keys", "list"], &["keys", "rotate", "--now"]] {
        let output = server.run(command, &[], "").await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {complaint}");
        assert!(
            complaint.contains("master.key") && complaint.contains("backup") && complaint.contains("AUTHKIT_MASTER_KEYS"),
            "{complaint}"
        );
        assert!(!key_file.exists(), "no new key beside what is sealed under the old one");
    }
    // Another one, from the environment and as a file; its name may even be the right one.
    let same_name = format!("{}:{}", key.trim().split_once(':').expect("a name").0, other.split_once(':').expect("a key").1);
    for wrong in [other.as_str(), same_name.as_str()] {
        for from_file in [false, true] {
            let variable = [("AUTHKIT_MASTER_KEYS", wrong)];
            if from_file {
                fs::write(&key_file, format!("{wrong}\n")).expect("written");
                set_private(&key_file);
            }
            let output = server.run(&["serve"], if from_file { &[] } else { &variable }, "").await;
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{complaint}");
            assert!(complaint.contains("master key"), "it says what to do: {complaint}");
            let secret = wrong.split_once(':').expect("a key").1;
            assert!(!complaint.contains(secret) && !String::from_utf8_lossy(&output.stdout).contains(secret), "{complaint}");
            let doctor = server.run(&["doctor"], if from_file { &[] } else { &variable }, "").await;
            assert_eq!(doctor.status.code(), Some(1), "{}", String::from_utf8_lossy(&doctor.stdout));
        }
        fs::remove_file(&key_file).expect("removed");
    }
    assert_eq!(database::rows(&server).await, before, "nothing changed");

    fs::write(&key_file, &key).expect("restored");
    set_private(&key_file);
    server.start_again().await;
    server.get_as(ME, &token).await.expect(200);
}

fn set_private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode");
}
