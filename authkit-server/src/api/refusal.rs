//! The one place where the library's errors become problem documents.
//!
//! Code and status come from the error; what is added here is a sentence for people, the reasons of a weak password, and the
//! silence about what failed inside.

use std::error::Error as _;
use std::time::Duration;

use authkit_core::flows::PasskeyError;
use authkit_core::flows::{
    AdminError, ChangeEmailError, CloseAccountError, EnrollError, Internal, ReauthenticateError, RoleError,
};
use authkit_core::model::FactorKind;
use authkit_core::{Error, ErrorKind};
use poem::http::StatusCode;

use crate::problem::Problem;

/// A refresh token came back that was used before.
pub(super) fn reused() -> Problem {
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "auth.refresh_token_reused", "This refresh token was used before");
    problem.detail("Somebody else may hold a copy of it, so its session was ended. Log in again.")
}

/// There is no such session of the caller's.
pub(super) fn no_such_session() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "session.not_found", "You have no such session that is alive")
}

/// The caller has no such passkey.
pub(super) fn no_such_passkey() -> Problem {
    refused(PasskeyError::NotFound)
}

/// There is no such session of the account.
pub(super) fn no_such_session_of() -> Problem {
    refused(AdminError::NoSuchSession)
}

/// There is no such account.
pub(super) fn no_such_account() -> Problem {
    refused(AdminError::NotFound)
}

/// There is no such role.
pub(super) fn no_such_role() -> Problem {
    refused(RoleError::NotFound)
}

/// The problem document of an error of the library.
pub(super) fn refused(error: impl Into<Error>) -> Problem {
    let error = error.into();
    let status = StatusCode::from_u16(error.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(internal) = error.internal() {
        return failed(status, internal);
    }
    let (title, detail) = sentences(&error);
    let problem = Problem::new(status, error.code(), title).detail(detail);
    let problem = match (&error, error.kind()) {
        (Error::Authenticate(reason), _) => {
            // The outside is told that the token is not valid; why exactly, the log is.
            tracing::debug!(reason = reason.reason(), "access token refused");
            problem.challenge("invalid_token")
        }
        // RFC 9470 §3.
        (
            Error::CloseAccount(CloseAccountError::ReauthenticationRequired)
            | Error::Admin(AdminError::ReauthenticationRequired)
            | Error::ChangeEmail(ChangeEmailError::ReauthenticationRequired)
            | Error::Enroll(EnrollError::ReauthenticationRequired)
            | Error::Passkey(PasskeyError::ReauthenticationRequired)
            | Error::Reauthenticate(ReauthenticateError::FactorRequired),
            _,
        ) => problem.challenge("insufficient_user_authentication"),
        (Error::InsufficientAuthentication(insufficient), _) => problem.challenge_text(insufficient.challenge()),
        (_, ErrorKind::Throttled(after) | ErrorKind::Overloaded(after)) => problem.retry_after(after),
        // RFC 6750 §3.1.
        _ => match (error.scope_challenge(), error.missing_permission()) {
            (Some(challenge), Some(permission)) => problem.challenge_text(challenge).member("permission", permission),
            _ => problem,
        },
    };
    let problem = match &error {
        Error::Role(RoleError::Cycle | RoleError::UnknownInherited { .. }) => {
            problem.field("inherits", error.code().trim_start_matches("role."), error.to_string())
        }
        Error::Role(RoleError::Expired) => problem.field("expires_at", "expired", error.to_string()),
        _ => problem,
    };
    let problem = match error.second_factor_required() {
        Some(required) => problem
            .member("mfa_token", required.token.expose())
            .member("factors", required.factors.iter().map(FactorKind::as_str).collect::<Vec<_>>())
            .member("expires_in", required.expires_in.as_secs()),
        None => problem,
    };
    let Some(weakness) = error.weakness() else { return problem };
    let member = if matches!(error, Error::Register(_)) { "password" } else { "new_password" };
    weakness.reasons().iter().fold(problem, |problem, reason| problem.field(member, reason.code(), reason.message()))
}

/// What is wrong, the same for every problem of its code, and what to do about it.
#[expect(clippy::too_many_lines, reason = "one table, a line a code")]
fn sentences(error: &Error) -> (&'static str, String) {
    let (title, detail) = match error.code() {
        "account.email_taken" => ("An account with this email address exists", "Log in instead, or register another address."),
        "account.registration_closed" => ("Registration is closed", "Ask an administrator for an account."),
        "account.suspended" => ("The account is suspended", "Ask an administrator."),
        "auth.invalid_credentials" => ("The credentials are wrong", "Email or password is wrong."),
        "auth.invalid_token" => ("The access token is invalid", "Log in again."),
        "auth.token_expired" => ("The access token has expired", "Refresh it, or log in again."),
        "auth.session_ended" => ("The session has ended", "Log in again."),
        "auth.invalid_refresh_token" => ("The refresh token is not valid", "Log in again."),
        "auth.reauthentication_required" => (
            "This cannot be undone and needs a recent proof of identity",
            "Send your password, or a second factor if you have one, to /api/v1/auth/reauthenticate, and try again with the access token of its reply.",
        ),
        "password.wrong_current" => ("The current password is wrong", "Nothing was changed."),
        "session.not_found" if matches!(error, Error::Admin(_)) => {
            ("The account has no such session that is alive", "GET /api/v1/admin/users/{id}/sessions lists those that are.")
        }
        "account.not_found" => ("There is no such account", "It was closed, or it never was."),
        "account.more_powerful" => (
            "The account holds permissions that you do not hold",
            "Nobody has power over somebody who may more. Ask somebody who holds them.",
        ),
        "account.own" => ("This is your own account", "Use /api/v1/users/me."),
        "account.changed" => ("The account was changed since you read it", "Read it again, and decide anew."),
        "role.last_superuser" => {
            ("Nobody else holds every permission", "Give somebody else every permission first, so that somebody still does.")
        }
        "role.not_held" => (
            "The role gives what you do not hold yourself",
            "Nobody hands on or takes away what she does not hold herself, there and for as long. Ask somebody who holds it.",
        ),
        "role.not_found" => ("There is no such role", "GET /api/v1/admin/roles lists them."),
        "role.not_assigned" => (
            "The account does not have this role there",
            "GET /api/v1/admin/users/{id}/roles lists what it has, and in which scope.",
        ),
        "role.name_taken" => ("A role has this name", "Choose another name, or change that role."),
        "role.built_in" => ("The role is built in", "It can be neither changed nor deleted. Make one of your own."),
        "role.cycle" => {
            ("The role would inherit itself", "Leave out of inherits what inherits this role, by way of others it may be.")
        }
        "role.changed" => ("The role was changed since you read it", "Read it again, and decide anew."),
        "role.expired" => ("The end of the assignment has passed", "Choose an instant that lies ahead."),
        "role.unknown" => return ("The role would inherit one that is not there", error.to_string()),
        "role.in_use" => return ("The role is in use", error.to_string()),
        "role.too_many" => return ("There would be too much of something", error.to_string()),
        "auth.impersonation_forbidden" => (
            "Only the owner of the account may do this",
            "You act as somebody else. Use your own access token for what is yours.",
        ),
        "auth.permission_required" => return ("You may not do this", error.to_string()),
        "session.not_found" => ("You have no such session that is alive", "GET /api/v1/users/me/sessions lists those that are."),
        "auth.mfa_required" => {
            ("A second factor is required", "Send a code of one of your factors with the mfa_token to /api/v1/auth/mfa/verify.")
        }
        "auth.mfa_enrolment_required" => (
            "A second factor has to be turned on first",
            "Turn one of the factors on at /api/v1/auth/mfa/enrolment with the mfa_token; the session begins with it.",
        ),
        "mfa.not_available" => ("This factor cannot be turned on here", "GET /api/v1/users/me/mfa says which can be used."),
        "mfa.demanded" => ("A second factor is demanded of this account", "Turn another one on first."),
        "account.email_not_verified" => ("The email address is not verified", "Verify it first."),
        "auth.invalid_mfa_token" => ("This login cannot be finished any more", "Log in again."),
        "auth.step_up_required" => {
            ("This needs a second factor", "Send a code of a second factor to /api/v1/auth/reauthenticate.")
        }
        "mfa.invalid_code" => ("The code is wrong, or was used before", "Wait for the next code, or use a recovery code."),
        "mfa.factor_required" => ("A second factor is needed here", "Send factor and code instead of the password."),
        "mfa.already_enrolled" => ("This factor is on already", "Turn it off first to replace it."),
        "mfa.not_enrolled" => {
            ("This factor is not on, and none waits to be confirmed", "POST /api/v1/users/me/mfa/totp begins anew.")
        }
        "auth.invalid_passkey" => (
            "The passkey proves nothing",
            "It is not known here, was made for another site, or has answered this challenge before or too late. Ask for a new one.",
        ),
        "passkey.not_configured" => (
            "Passkeys are not set up for this service",
            "A passkey belongs to a domain: the operator has to set AUTHKIT_PUBLIC_URL to one, or AUTHKIT_RP_ID.",
        ),
        "passkey.stale_challenge" => ("This challenge cannot be answered any more", "Ask for a new one, in the same session."),
        "passkey.refused" => (
            "The new passkey cannot be accepted",
            "It has to be made at this site, with user verification, and by an algorithm that was asked for.",
        ),
        "passkey.already_known" => ("This passkey is known already", "Make another one, or use this one."),
        "passkey.too_many" => ("You have as many passkeys as you may have", "Remove one that you do not use any more."),
        "passkey.not_found" => ("You have no such passkey", "GET /api/v1/users/me/passkeys lists those that you have."),
        "passkey.last_way_in" => ("Nobody could log in without this passkey", "Set a password first, or add another passkey."),
        "auth.invalid_link" => {
            ("The link is not valid any more", "It was used, has expired, or the account has changed since. Ask for a new one.")
        }
        "account.same_email" => ("This is the address of the account already", "Nothing was changed."),
        "account.invitation_accepted" => {
            ("The account has a password already", "POST /api/v1/admin/users/{id}/password-reset mails a link that sets another.")
        }
        "outbox.not_found" => (
            "There is no such message, or none that can be tried again",
            "GET /api/v1/admin/outbox lists those that were given up.",
        ),
        "auth.link_of_another_browser" => ("The link belongs to another browser", "Open it in the browser that asked for it."),
        "rate_limit.exceeded" => ("This was tried too often", "Try again after the time in Retry-After."),
        "service.overloaded" => ("Too many passwords are being checked right now", "Try again after the time in Retry-After."),
        "password.too_weak" => return ("The password can be guessed", error.to_string()),
        _ => return ("The request was refused", error.to_string()),
    };
    (title, detail.to_owned())
}

/// What failed inside is logged once, with its causes; the outside learns whether to try again.
fn failed(status: StatusCode, error: &Internal) -> Problem {
    let causes: Vec<String> =
        std::iter::successors(error.source(), |cause: &&(dyn std::error::Error + 'static)| (*cause).source())
            .map(ToString::to_string)
            .collect();
    if error.is_unavailable() {
        tracing::warn!(%error, ?causes, "a request was refused because a part is unavailable");
        let problem = Problem::new(status, error.code(), "The service cannot do this right now");
        problem.detail("Try again after the time in Retry-After.").retry_after(Duration::from_secs(1))
    } else {
        tracing::error!(%error, ?causes, "a request failed inside");
        let problem = Problem::new(status, error.code(), "Something went wrong on our side");
        problem.detail("The request id helps the operator to find out what.")
    }
}
