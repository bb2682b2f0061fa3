//! The set of revoked sessions.

use std::time::Duration;

use crate::model::Revocation;
use crate::primitives::SessionId;
use crate::token::RevokedSessions;
use crate::token::tests::support::{NOW, Seeded, config};

#[test]
fn a_revoked_session_is_known_until_its_last_token_has_expired() {
    let config = config();
    let revoked = RevokedSessions::new(&config);
    let entropy = Seeded::new(1);
    let sessions: Vec<_> = (0..100).map(|_| SessionId::generate(NOW, &entropy)).collect();
    assert!(revoked.is_empty() && !revoked.contains(sessions[0]));

    let revocations: Vec<_> = sessions[..50].iter().map(|&session_id| Revocation { session_id, at: NOW }).collect();
    revoked.insert(&revocations);
    revoked.insert(&revocations);
    assert_eq!(revoked.len(), 50, "once each");
    for (index, session) in sessions.iter().enumerate() {
        assert_eq!(revoked.contains(*session), index < 50);
    }

    // A token that a node whose clock is ahead by the leeway issued while the revocation landed ends by then, as every other
    // clock sees it.
    let end = NOW + RevokedSessions::LANDING + config.leeway + config.lifetime + config.leeway;
    assert_eq!(revoked.purge(end - Duration::from_micros(1)), 0);
    assert!(revoked.contains(sessions[0]));
    assert_eq!(revoked.purge(end), 50);
    assert!(revoked.is_empty() && !revoked.contains(sessions[0]));
}

#[test]
fn a_late_notice_does_not_shorten_an_entry() {
    let revoked = RevokedSessions::new(&config());
    let session_id = SessionId::generate(NOW, &Seeded::new(2));
    revoked.insert(&[Revocation { session_id, at: NOW }, Revocation { session_id, at: NOW - Duration::from_hours(1) }]);
    revoked.purge(NOW + Duration::from_secs(1));
    assert!(revoked.contains(session_id));
}

#[test]
fn threads_that_revoke_ask_and_purge_at_once_agree() {
    let config = config();
    let revoked = RevokedSessions::new(&config);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let revoked = &revoked;
            scope.spawn(move || {
                let entropy = Seeded::new(thread);
                for _ in 0..500 {
                    let session_id = SessionId::generate(NOW, &entropy);
                    revoked.insert(&[Revocation { session_id, at: NOW }]);
                    assert!(revoked.contains(session_id), "at once, on the thread that revoked");
                    revoked.purge(NOW);
                }
            });
        }
    });
    assert_eq!(revoked.len(), 2_000);
    assert_eq!(revoked.purge(NOW + config.lifetime * 2), 2_000);
    assert_eq!(revoked.len(), 0);
}
