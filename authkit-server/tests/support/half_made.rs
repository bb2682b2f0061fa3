//! What must not be found in a database, whatever happened to the servers, their network and itself.

/// What it would be, and a number of rows that is 0 in a whole database.
///
/// The text is that of SQLite, where our tables have a prefix; on PostgreSQL they have a schema: see [`for_postgres`].
pub(crate) const HALF_MADE: &[(&str, &str)] = &[
    (
        "an account without a password",
        "SELECT count(*) FROM authkit_users u WHERE u.status <> 'closed'
         AND NOT EXISTS (SELECT 1 FROM authkit_password_credentials c WHERE c.user_id = u.id)",
    ),
    (
        "a password without an account",
        "SELECT count(*) FROM authkit_password_credentials c WHERE NOT EXISTS (SELECT 1 FROM authkit_users u WHERE u.id = c.user_id)",
    ),
    (
        "a session without an account",
        "SELECT count(*) FROM authkit_sessions s WHERE NOT EXISTS (SELECT 1 FROM authkit_users u WHERE u.id = s.user_id)",
    ),
    (
        "an account without the session that its registration began",
        "SELECT count(*) FROM authkit_users u WHERE NOT EXISTS (SELECT 1 FROM authkit_sessions s WHERE s.user_id = u.id)",
    ),
    (
        "an account without exactly one account.registered event",
        "SELECT count(*) FROM authkit_users u
         WHERE 1 <> (SELECT count(*) FROM authkit_audit_events e
                     WHERE e.subject_id = u.id AND e.action = 'account.registered' AND e.outcome = 'success')",
    ),
    (
        "an account.registered event without its account",
        "SELECT count(*) FROM authkit_audit_events e WHERE e.action = 'account.registered' AND e.outcome = 'success'
         AND NOT EXISTS (SELECT 1 FROM authkit_users u WHERE u.id = e.subject_id)",
    ),
    // Whether a registration also writes auth.login is not the point; that all accounts agree is.
    (
        "a login without its session, or a session without its event",
        "SELECT coalesce(max(surplus) - min(surplus), 0) FROM
         (SELECT (SELECT count(*) FROM authkit_sessions s WHERE s.user_id = u.id)
               - (SELECT count(*) FROM authkit_audit_events e
                  WHERE e.subject_id = u.id AND e.action = 'auth.login' AND e.outcome = 'success') AS surplus
          FROM authkit_users u) AS surpluses",
    ),
    (
        "a logout without its event, or the other way round",
        "SELECT count(*) FROM authkit_users u
         WHERE (SELECT count(*) FROM authkit_sessions s WHERE s.user_id = u.id AND s.revoked_reason = 'logout')
            <> (SELECT count(*) FROM authkit_audit_events e
                WHERE e.subject_id = u.id AND e.action = 'auth.logout' AND e.outcome = 'success')",
    ),
    // Only a change of the password raises the epoch.
    (
        "a change of the password without its event, or the other way round",
        "SELECT count(*) FROM authkit_users u
         WHERE u.auth_epoch
            <> (SELECT count(*) FROM authkit_audit_events e
                WHERE e.subject_id = u.id AND e.action = 'account.password_changed' AND e.outcome = 'success')",
    ),
    (
        "a reuse that revoked without its event, or the other way round",
        "SELECT abs((SELECT count(*) FROM authkit_sessions WHERE revoked_reason = 'refresh_token_reused')
                  - (SELECT count(*) FROM authkit_audit_events WHERE action = 'auth.refresh_token_reused'))",
    ),
    (
        "a server key without its event, or the other way round",
        "SELECT abs((SELECT count(*) FROM authkit_server_keys)
                  - (SELECT count(*) FROM authkit_audit_events WHERE action = 'key.created')
                  + (SELECT count(*) FROM authkit_audit_events WHERE action = 'key.deleted'))",
    ),
];

/// A text of [`HALF_MADE`] as PostgreSQL takes it.
pub(crate) fn for_postgres(sql: &str) -> String {
    sql.replace("authkit_", "authkit.")
}
