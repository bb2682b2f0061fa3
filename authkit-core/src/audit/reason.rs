//! Why something was refused, in plain words: what the log says in short names.

use crate::model::{AuditAction, AuditEvent, Outcome};

/// What happened, in a sentence.
#[must_use]
pub fn explain(event: &AuditEvent) -> String {
    let detail = |name: &str| event.details.get(name).map(String::as_str);
    let reason = detail("reason").unwrap_or_default();
    match (event.action, event.outcome) {
        (AuditAction::Login, Outcome::Success) => "the login succeeded".to_owned(),
        (AuditAction::Login, Outcome::Failure) => format!("the login was refused: {}", login(event, reason)),
        (AuditAction::PasswordReset | AuditAction::EmailVerified | AuditAction::InvitationAccepted, Outcome::Failure) => {
            format!("the link did nothing: {}", login(event, reason))
        }
        (AuditAction::SecondFactorDemanded, _) => {
            "the first factor was right, and a second one was asked for: nobody is logged in by that alone".to_owned()
        }
        (AuditAction::RefreshRefused, _) => format!("the refresh was refused: {}", refresh(event, reason)),
        (AuditAction::RefreshTokenReused, _) => format!(
            "the refresh was refused: its token had been used before (generation {}, while the session is at {}), so somebody may hold a copy; \
             the session was ended",
            detail("presented_generation").unwrap_or("?"),
            detail("current_generation").unwrap_or("?"),
        ),
        (AuditAction::RateLimited, _) if detail("scope") == Some("delayed") => {
            "the password was not evaluated: wrong ones in a row came before it, so it has to wait; the first of a while is recorded".to_owned()
        }
        (AuditAction::RateLimited, _) if detail("scope") == Some("stopped") => {
            "the password was not evaluated: too many wrong ones in a row came before it, so none is taken from unknown devices; the \
             first of a while is recorded"
                .to_owned()
        }
        (AuditAction::GuessingDelayed, _) => format!(
            "after {} wrong in a row the next one is evaluated after {} s",
            detail("failures").unwrap_or("?"),
            detail("delay_seconds").unwrap_or("?")
        ),
        (AuditAction::GuessingStopped, _) => {
            format!("after {} wrong in a row none is evaluated any more", detail("failures").unwrap_or("?"))
        }
        (AuditAction::RateLimited, _) => format!(
            "requests were turned away by the rate limit {} before anything was looked up; the first of a while is recorded for each subject",
            detail("scope").unwrap_or("?"),
        ),
        (AuditAction::Overloaded, _) => {
            "too many passwords were being hashed at once, so the request was turned away before the account was looked up"
                .to_owned()
        }
        (AuditAction::Reauthentication, Outcome::Failure) => {
            format!("the renewed proof of identity was refused: {}", login(event, reason))
        }
        (AuditAction::PasswordChanged, Outcome::Failure) => format!("the password was not changed: {}", login(event, reason)),
        (action, Outcome::Success) => format!("{} succeeded", action.as_str()),
        (action, Outcome::Failure) if reason.is_empty() => format!("{} was refused", action.as_str()),
        (action, Outcome::Failure) => format!("{} was refused: {}", action.as_str(), reason.replace('_', " ")),
    }
}

fn login(event: &AuditEvent, reason: &str) -> String {
    let proof = match event.details.get("method").map(String::as_str) {
        Some("pwd") | None => "password",
        Some("second_factor") => "first factor",
        Some(_) => "link",
    };
    match reason {
        "unknown_account" => "no account has this address".to_owned(),
        "wrong_password" => "the account is there, and the password was another one".to_owned(),
        "no_password" => "the account is there and has no password".to_owned(),
        "unproved_address" => {
            "the password was right, and nobody has proved yet to read mail at the address: the link was mailed".to_owned()
        }
        "suspended" => format!("the {proof} was right, and the account is suspended"),
        "wrong_code" => "the code of the second factor was wrong, or used before".to_owned(),
        "no_link" | "no_challenge" => "what was presented is nothing that this service could have issued".to_owned(),
        "unknown_link" => {
            "no such link is there: it was used, is long over, or its account was closed; or it was made up".to_owned()
        }
        "unknown_challenge" => {
            "no such login is half done: it was finished, is long over, or its account was closed; or it was made up".to_owned()
        }
        "made_up_link" | "made_up_challenge" => "it names one that is there, with another secret: it was made up".to_owned(),
        "link_expired" => "the link was right, and too old".to_owned(),
        "challenge_expired" => "the first factor was right, and the second one came too late".to_owned(),
        "challenge_used_up" => {
            "the first factor was right, and there were no attempts left, or another request was faster".to_owned()
        }
        "address_changed" => "the link was right, and the account has another address by now".to_owned(),
        "account_changed" => {
            format!("the {proof} was right, and the password, the second factors or the state of the account have changed since")
        }
        "other_browser" => "the link was right, and it was asked for in another browser".to_owned(),
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
