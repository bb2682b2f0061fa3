//! Which problems a route can answer with: what the OpenAPI document says, and what the tests hold the routes to.

use std::collections::BTreeMap;

/// A status and a code.
type ProblemCode = (u16, &'static str);

/// What every route that reads a body can answer.
const BODY: &[ProblemCode] = &[
    (400, "request.malformed_json"),
    (413, "request.body_too_large"),
    (415, "request.unsupported_media_type"),
    (422, "request.unknown_member"),
    (422, "request.missing_member"),
    (422, "request.invalid_type"),
    (400, "request.body_incomplete"),
    (408, "request.body_timeout"),
];

/// What every route that is given values to check can answer.
const FIELDS: &[ProblemCode] = &[(422, "request.invalid_value")];

/// What every route that reads a bearer token can answer.
const BEARER: &[ProblemCode] =
    &[(401, "auth.unauthenticated"), (401, "auth.invalid_token"), (401, "auth.token_expired"), (401, "auth.session_ended")];

/// What every route can answer that is for the owner of an account alone.
const IN_PERSON: &[ProblemCode] = &[(403, "auth.impersonation_forbidden")];

/// What every route that needs a permission can answer.
const PERMITTED: &[ProblemCode] = &[(403, "auth.permission_required")];

/// What every route can answer that does something to the account of somebody else.
const OF_ANOTHER: &[ProblemCode] = &[(403, "account.more_powerful"), (404, "account.not_found"), (409, "account.own")];

/// What every route can answer that can be held to the state that the client has read.
const CONDITIONAL: &[ProblemCode] = &[(400, "request.invalid_parameter"), (412, "account.changed")];

/// What every route can answer that changes what a role gives, or who has it.
const ROLE_CHANGE: &[ProblemCode] = &[(400, "request.invalid_parameter"), (403, "role.not_held")];

/// What every route that hashes a password can answer.
const HASHING: &[ProblemCode] = &[(503, "service.overloaded")];

/// What every route that counts its requests can answer.
const LIMITED: &[ProblemCode] = &[(429, "rate_limit.exceeded")];

/// What every route that redeems a mailed link can answer.
const LINK: &[ProblemCode] = &[(401, "auth.invalid_link"), (403, "account.suspended")];

/// What every route can answer.
const ANY: &[ProblemCode] =
    &[(429, "rate_limit.exceeded"), (500, "service.internal_error"), (503, "service.unavailable"), (503, "service.timeout")];

/// The id of an operation, the problems of what it reads, and those that are its own.
type Operation = (&'static str, &'static [&'static [ProblemCode]], &'static [ProblemCode]);

/// Every operation.
const OPERATIONS: &[Operation] = &[
    (
        "register",
        &[BODY, FIELDS, HASHING, LIMITED],
        &[(403, "account.registration_closed"), (409, "account.email_taken"), (422, "password.too_weak")],
    ),
    (
        "login",
        &[BODY, FIELDS, HASHING, LIMITED],
        &[
            (401, "auth.invalid_credentials"),
            (403, "account.suspended"),
            (403, "auth.mfa_required"),
            (403, "auth.mfa_enrolment_required"),
        ],
    ),
    ("verifyMfa", &[BODY, LIMITED], &[(401, "auth.invalid_mfa_token"), (401, "mfa.invalid_code")]),
    // Passkeys.
    ("startPasskeyLogin", &[LIMITED], &[(404, "passkey.not_configured")]),
    (
        "finishPasskeyLogin",
        &[BODY, FIELDS, LIMITED],
        &[
            (401, "auth.invalid_passkey"),
            (403, "account.suspended"),
            (404, "passkey.not_configured"),
            (422, "passkey.invalid_reply"),
        ],
    ),
    (
        "startPasskeyMfa",
        &[BODY, LIMITED],
        &[(401, "auth.invalid_mfa_token"), (404, "mfa.not_enrolled"), (404, "passkey.not_configured")],
    ),
    (
        "finishPasskeyMfa",
        &[BODY, LIMITED],
        &[
            (401, "auth.invalid_mfa_token"),
            (401, "auth.invalid_passkey"),
            (404, "passkey.not_configured"),
            (422, "passkey.invalid_reply"),
        ],
    ),
    (
        "startPasskeyReauthentication",
        &[BEARER, IN_PERSON, LIMITED],
        &[(404, "mfa.not_enrolled"), (404, "passkey.not_configured")],
    ),
    (
        "finishPasskeyReauthentication",
        &[BODY, BEARER, IN_PERSON, LIMITED],
        &[(401, "auth.invalid_passkey"), (404, "passkey.not_configured"), (422, "passkey.invalid_reply")],
    ),
    ("listPasskeys", &[BEARER], &[]),
    (
        "startPasskeyRegistration",
        &[BEARER, IN_PERSON, LIMITED],
        &[(403, "auth.reauthentication_required"), (404, "passkey.not_configured"), (409, "passkey.too_many")],
    ),
    (
        "finishPasskeyRegistration",
        &[BODY, FIELDS, BEARER, IN_PERSON, LIMITED],
        &[
            (403, "auth.reauthentication_required"),
            (404, "passkey.not_configured"),
            (409, "passkey.already_known"),
            (409, "passkey.too_many"),
            (422, "passkey.invalid_reply"),
            (422, "passkey.refused"),
            (422, "passkey.stale_challenge"),
        ],
    ),
    ("renamePasskey", &[BODY, FIELDS, BEARER, IN_PERSON], &[(404, "passkey.not_found")]),
    (
        "removePasskey",
        &[BEARER, IN_PERSON],
        &[
            (403, "auth.reauthentication_required"),
            (404, "passkey.not_found"),
            (409, "passkey.last_way_in"),
            (409, "mfa.demanded"),
        ],
    ),
    ("getMfa", &[BEARER], &[]),
    ("sendMfaCode", &[BODY], &[(401, "auth.invalid_mfa_token")]),
    ("sendReauthenticationCode", &[BODY, BEARER, IN_PERSON], &[]),
    ("enrolTotp", &[BODY], &[(401, "auth.invalid_mfa_token"), (403, "mfa.not_available")]),
    (
        "enrolEmail",
        &[BODY, LIMITED],
        &[(401, "auth.invalid_mfa_token"), (403, "mfa.not_available"), (403, "account.email_not_verified")],
    ),
    ("enrolSms", &[BODY, FIELDS, LIMITED], &[(401, "auth.invalid_mfa_token"), (403, "mfa.not_available")]),
    ("finishEnrolment", &[BODY], &[(401, "auth.invalid_mfa_token"), (404, "mfa.not_enrolled"), (422, "mfa.invalid_code")]),
    (
        "startTotp",
        &[BEARER, IN_PERSON],
        &[(403, "auth.reauthentication_required"), (403, "mfa.not_available"), (409, "mfa.already_enrolled")],
    ),
    (
        "startEmail",
        &[BEARER, IN_PERSON, LIMITED],
        &[
            (403, "auth.reauthentication_required"),
            (403, "mfa.not_available"),
            (403, "account.email_not_verified"),
            (409, "mfa.already_enrolled"),
        ],
    ),
    (
        "startSms",
        &[BODY, FIELDS, BEARER, IN_PERSON, LIMITED],
        &[(403, "auth.reauthentication_required"), (403, "mfa.not_available"), (409, "mfa.already_enrolled")],
    ),
    (
        "confirmEmail",
        &[BODY, BEARER, IN_PERSON],
        &[(404, "mfa.not_enrolled"), (409, "mfa.already_enrolled"), (422, "mfa.invalid_code")],
    ),
    (
        "confirmSms",
        &[BODY, BEARER, IN_PERSON],
        &[(404, "mfa.not_enrolled"), (409, "mfa.already_enrolled"), (422, "mfa.invalid_code")],
    ),
    (
        "removeEmailFactor",
        &[BEARER, IN_PERSON],
        &[(403, "auth.reauthentication_required"), (404, "mfa.not_enrolled"), (409, "mfa.demanded")],
    ),
    (
        "removeSms",
        &[BEARER, IN_PERSON],
        &[(403, "auth.reauthentication_required"), (404, "mfa.not_enrolled"), (409, "mfa.demanded")],
    ),
    ("forgetTrustedDevice", &[BEARER, IN_PERSON], &[(404, "mfa.no_such_device")]),
    ("forgetTrustedDevices", &[BEARER, IN_PERSON], &[]),
    (
        "confirmTotp",
        &[BODY, BEARER, IN_PERSON],
        &[(404, "mfa.not_enrolled"), (409, "mfa.already_enrolled"), (422, "mfa.invalid_code")],
    ),
    (
        "removeTotp",
        &[BEARER, IN_PERSON],
        &[(403, "auth.reauthentication_required"), (404, "mfa.not_enrolled"), (409, "mfa.demanded")],
    ),
    ("replaceRecoveryCodes", &[BEARER, IN_PERSON], &[(403, "auth.reauthentication_required"), (404, "mfa.not_enrolled")]),
    ("refresh", &[BODY, LIMITED], &[(401, "auth.invalid_refresh_token"), (401, "auth.refresh_token_reused")]),
    ("logout", &[BODY], &[(401, "auth.invalid_refresh_token")]),
    ("logoutAll", &[BEARER], &[]),
    (
        "reauthenticate",
        &[BODY, FIELDS, BEARER, IN_PERSON, HASHING, LIMITED],
        &[(401, "auth.invalid_credentials"), (401, "mfa.invalid_code"), (403, "mfa.factor_required")],
    ),
    ("verifyEmail", &[BODY, LINK], &[(409, "account.email_taken")]),
    ("undoEmailChange", &[BODY, LINK], &[(409, "account.email_taken")]),
    (
        "changeEmail",
        &[BODY, FIELDS, BEARER, IN_PERSON, LIMITED],
        &[(403, "auth.reauthentication_required"), (403, "account.suspended"), (422, "account.same_email")],
    ),
    ("acceptInvitation", &[BODY, FIELDS, HASHING, LINK], &[(422, "password.too_weak")]),
    (
        "adminInviteUser",
        &[BEARER, IN_PERSON, PERMITTED, OF_ANOTHER],
        &[(409, "account.suspended"), (409, "account.invitation_accepted")],
    ),
    ("adminSendPasswordReset", &[BEARER, IN_PERSON, PERMITTED, OF_ANOTHER], &[(409, "account.suspended")]),
    ("adminListMessages", &[BEARER, IN_PERSON, PERMITTED], &[(400, "request.invalid_parameter")]),
    ("adminRetryMessage", &[BEARER, IN_PERSON, PERMITTED], &[(404, "outbox.not_found")]),
    ("adminDiscardMessage", &[BEARER, IN_PERSON, PERMITTED], &[(404, "outbox.not_found")]),
    ("resendVerification", &[BODY, FIELDS, LIMITED], &[]),
    ("forgotPassword", &[BODY, FIELDS, LIMITED], &[]),
    ("resetPassword", &[BODY, FIELDS, HASHING, LINK], &[(422, "password.too_weak")]),
    ("requestMagicLink", &[BODY, FIELDS, LIMITED], &[]),
    (
        "logInByMagicLink",
        &[BODY, FIELDS, LINK],
        &[(403, "auth.link_of_another_browser"), (403, "auth.mfa_required"), (403, "auth.mfa_enrolment_required")],
    ),
    ("getProfile", &[BEARER], &[(403, "account.suspended")]),
    ("updateProfile", &[BODY, FIELDS, BEARER], &[(403, "account.suspended")]),
    ("closeAccount", &[BEARER, IN_PERSON], &[(403, "auth.reauthentication_required")]),
    ("exportAccount", &[BEARER, IN_PERSON], &[]),
    ("adminListUsers", &[BEARER, IN_PERSON, PERMITTED], &[(400, "request.invalid_parameter")]),
    ("adminCreateUser", &[BODY, FIELDS, BEARER, IN_PERSON, PERMITTED], &[(409, "account.email_taken")]),
    ("adminGetUser", &[BEARER, IN_PERSON, PERMITTED], &[(404, "account.not_found")]),
    ("adminUpdateUser", &[BODY, FIELDS, BEARER, IN_PERSON, PERMITTED, OF_ANOTHER, CONDITIONAL], &[(409, "account.email_taken")]),
    ("adminCloseUser", &[BEARER, IN_PERSON, PERMITTED, OF_ANOTHER, CONDITIONAL], &[(409, "role.last_superuser")]),
    ("adminSuspendUser", &[BEARER, IN_PERSON, PERMITTED, OF_ANOTHER, CONDITIONAL], &[(409, "role.last_superuser")]),
    ("adminRestoreUser", &[BEARER, IN_PERSON, PERMITTED, OF_ANOTHER, CONDITIONAL], &[]),
    ("adminResetMfa", &[BEARER, IN_PERSON, PERMITTED, OF_ANOTHER], &[]),
    ("adminUnlockUser", &[BEARER, IN_PERSON, PERMITTED, OF_ANOTHER], &[]),
    (
        "adminListSessions",
        &[BEARER, IN_PERSON, PERMITTED],
        &[(400, "request.invalid_parameter"), (403, "account.more_powerful"), (404, "account.not_found")],
    ),
    ("adminRevokeSessions", &[BEARER, IN_PERSON, PERMITTED, OF_ANOTHER], &[]),
    ("adminRevokeSession", &[BEARER, IN_PERSON, PERMITTED, OF_ANOTHER], &[(404, "session.not_found")]),
    (
        "adminImpersonate",
        &[BODY, FIELDS, BEARER, IN_PERSON, PERMITTED, OF_ANOTHER],
        &[(403, "auth.reauthentication_required"), (409, "account.suspended")],
    ),
    (
        "changePassword",
        &[BODY, FIELDS, BEARER, IN_PERSON, HASHING, LIMITED],
        &[(403, "account.suspended"), (403, "password.wrong_current"), (422, "password.too_weak")],
    ),
    ("listSessions", &[BEARER], &[(400, "request.invalid_parameter")]),
    ("revokeSession", &[BEARER], &[(404, "session.not_found")]),
    // Roles.
    ("adminListRoles", &[BEARER, IN_PERSON, PERMITTED], &[(400, "request.invalid_parameter")]),
    (
        "adminCreateRole",
        &[BODY, FIELDS, BEARER, IN_PERSON, PERMITTED, ROLE_CHANGE],
        &[(409, "role.name_taken"), (422, "role.cycle"), (422, "role.unknown"), (422, "role.too_many")],
    ),
    ("adminGetRole", &[BEARER, IN_PERSON, PERMITTED], &[(404, "role.not_found")]),
    (
        "adminUpdateRole",
        &[BODY, FIELDS, BEARER, IN_PERSON, PERMITTED, ROLE_CHANGE],
        &[
            (403, "role.built_in"),
            (404, "role.not_found"),
            (409, "role.last_superuser"),
            (412, "role.changed"),
            (422, "role.cycle"),
            (422, "role.unknown"),
            (422, "role.too_many"),
        ],
    ),
    (
        "adminDeleteRole",
        &[BEARER, IN_PERSON, PERMITTED, ROLE_CHANGE],
        &[(403, "role.built_in"), (404, "role.not_found"), (409, "role.in_use"), (412, "role.changed")],
    ),
    ("adminListPermissions", &[BEARER, IN_PERSON, PERMITTED], &[(400, "request.invalid_parameter")]),
    ("adminListHolders", &[BEARER, IN_PERSON, PERMITTED], &[(400, "request.invalid_parameter")]),
    ("adminGetUserRoles", &[BEARER, IN_PERSON, PERMITTED], &[(404, "account.not_found")]),
    (
        "adminAssignRole",
        &[BODY, FIELDS, BEARER, IN_PERSON, PERMITTED, ROLE_CHANGE],
        &[
            (404, "account.not_found"),
            (404, "role.not_found"),
            (409, "role.last_superuser"),
            (422, "role.expired"),
            (422, "role.too_many"),
        ],
    ),
    (
        "adminUnassignRole",
        &[BODY, FIELDS, BEARER, IN_PERSON, PERMITTED, ROLE_CHANGE],
        &[(404, "account.not_found"), (404, "role.not_found"), (404, "role.not_assigned"), (409, "role.last_superuser")],
    ),
    // The audit log.
    ("listSecurityEvents", &[BEARER], &[(400, "request.invalid_parameter")]),
    ("listAuditEvents", &[BEARER, IN_PERSON, PERMITTED], &[(400, "request.invalid_parameter")]),
    ("exportAuditEvents", &[BEARER, IN_PERSON, PERMITTED], &[(400, "request.invalid_parameter")]),
    ("explainRequest", &[BEARER, IN_PERSON, PERMITTED], &[(400, "request.invalid_parameter")]),
];

/// The problems of an operation: for each status, the codes.
pub(super) fn problems_of(operation: &str) -> BTreeMap<u16, Vec<&'static str>> {
    let mut problems: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    if let Some((_, shared, own)) = OPERATIONS.iter().find(|(id, ..)| *id == operation) {
        for (status, code) in own.iter().chain(shared.iter().copied().flatten()).chain(ANY) {
            let codes = problems.entry(*status).or_default();
            if !codes.contains(code) {
                codes.push(code);
            }
        }
    }
    problems
}

/// Whether an operation counts its requests by itself, and tells what is left.
pub(super) fn is_limited(operation: &str) -> bool {
    OPERATIONS.iter().any(|(id, shared, _)| *id == operation && shared.contains(&LIMITED))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_catalogue_names_every_operation_and_no_other() {
        let named: BTreeSet<String> = OPERATIONS.iter().map(|(id, ..)| (*id).to_owned()).collect();
        let routed: BTreeSet<String> = super::super::openapi::operations().into_iter().collect();
        assert_eq!(named, routed);
        assert_eq!(routed.len(), OPERATIONS.len());
    }
}
