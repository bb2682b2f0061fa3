//! Why something was refused, in plain words: what the log says in short names.

use crate::model::{AuditAction, AuditEvent, Outcome};

/// What happened, in a sentence.
#[must_use]
pub fn explain(event: &AuditEvent) -> String {
    let detail = |name: &str| event.details.get(name).map(String::as_str);
    let reason = detail("reason").unwrap_or_default();
    match (event.action, event.outcome) {
        (AuditAction::Login, Outcome::Success) => "the login succeeded".to_owned(),
        (AuditAction::Login, Outcome::Failure) => format!("the login was refused: {}", login(reason)),
        (AuditAction::RefreshRefused, _) => format!("the refresh was refused: {}", refresh(event, reason)),
        (AuditAction::RefreshTokenReused, _) => format!(
            "the refresh was refused: its token had been used before (generation {}, while the session is at {}), so somebody may hold a copy; \
             the session was ended",
            detail("presented_generation").unwrap_or("?"),
            detail("current_generation").unwrap_or("?"),
        ),
        (AuditAction::RateLimited, _) => format!(
            "requests were turned away by the rate limit {} before anything was looked up; the first of a while is recorded for each subject",
            detail("scope").unwrap_or("?"),
        ),
        (AuditAction::Overloaded, _) => {
            "too many passwords were being hashed at once, so the request was turned away before the account was looked up"
                .to_owned()
        }
        (AuditAction::Reauthentication, Outcome::Failure) => {
            format!("the renewed proof of identity was refused: {}", login(reason))
        }
        (AuditAction::PasswordChanged, Outcome::Failure) => format!("the password was not changed: {}", login(reason)),
        (action, Outcome::Success) => format!("{} succeeded", action.as_str()),
        (action, Outcome::Failure) if reason.is_empty() => format!("{} was refused", action.as_str()),
        (action, Outcome::Failure) => format!("{} was refused: {}", action.as_str(), reason.replace('_', " ")),
    }
}

fn login(reason: &str) -> String {
    match reason {
        "unknown_account" => "no account has this address".to_owned(),
        "wrong_password" => "the account is there, and the password was another one".to_owned(),
        "no_password" => "the account is there and has no password".to_owned(),
        "suspended" => "the password was right, and the account is suspended".to_owned(),
        other => other.replace('_', " "),
    }
}

fn refresh(event: &AuditEvent, reason: &str) -> String {
    let detail = |name: &str| event.details.get(name).map_or("?", String::as_str);
    match reason {
        "revoked" => format!(
            "session {} had been ended at {} ({})",
            detail("session_id"),
            detail("revoked_at"),
            detail("revoked_reason").replace('_', " ")
        ),
        "expired_idle" => {
            format!("session {} had not been used for too long: it ended at {}", detail("session_id"), detail("expired_at"))
        }
        "expired_absolute" => format!("session {} had come to its end at {}", detail("session_id"), detail("expired_at")),
        "suspended" => format!("the account of session {} is suspended", detail("session_id")),
        "unknown_session" => {
            format!(
                "session {} is not there: its account was closed, or it ended long ago and was forgotten",
                detail("session_id")
            )
        }
        "store_is_older" => format!(
            "the token of session {} is newer than what is stored: the database was restored from an older state",
            detail("session_id")
        ),
        "unknown_token" => format!("the token was not issued by this service ({})", detail("check")),
        other => other.replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    #![cfg(feature = "testkit")]

    use super::*;
    use crate::testkit::Fixtures;

    #[test]
    fn a_refusal_is_told_in_plain_words() {
        let fixtures = Fixtures::new(3);
        let event = |action, reason: &str| {
            let event = fixtures.event(fixtures.user().id).with("reason", reason).with("session_id", "s-1");
            AuditEvent { action, outcome: Outcome::Failure, ..event }
        };
        assert!(explain(&event(AuditAction::Login, "wrong_password")).contains("password was another one"));
        let revoked =
            event(AuditAction::RefreshRefused, "revoked").with("revoked_reason", "password_changed").with("revoked_at", "T");
        assert_eq!(explain(&revoked), "the refresh was refused: session s-1 had been ended at T (password changed)");
        for action in AuditAction::ALL {
            assert!(!explain(&event(*action, "of_another_kind")).is_empty());
        }
    }
}
