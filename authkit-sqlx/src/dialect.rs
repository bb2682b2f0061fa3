//! Where the databases differ: one constant per dialect and statement, chosen once when a store is opened.

use crate::aggregate::factor;
use crate::aggregate::guess;
use crate::aggregate::passkey;
use crate::aggregate::user_search;
use crate::aggregate::{audit, credential, role, session, user};
use crate::aggregate::{one_time_token, outbox};

/// The texts that no single spelling serves.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// The guarded rotation of a refresh token, which returns the session and its account; see [`session::rotation`].
    pub(crate) rotate: &'static str,
    /// The beginning of a session, guarded by its account.
    pub(crate) insert_session: &'static str,
    /// The first password of an account, guarded by it.
    pub(crate) insert_password: &'static str,
    /// The end of sessions in which somebody acts as somebody else, by the roles of either.
    pub(crate) end_impersonations_by_role: &'static str,
    /// The end of sessions that are long over.
    pub(crate) purge_sessions: &'static str,
    /// The end of the audit events of a seal.
    pub(crate) purge_sealed_events: &'static str,
    /// The lock that whoever looks after those who hold everything takes first.
    pub(crate) lock_roles: &'static str,
    /// The guard that the roles are of a version.
    pub(crate) expect_roles: &'static str,
    /// The guard that an account is active and its access of a version.
    pub(crate) hold_access: &'static str,
    /// A new account, and in the same statement what it is found by, where that can be one.
    pub(crate) insert_user_with_terms: Option<&'static str>,
    /// A change of the profile, and in the same statement what the account is found by, where that can be one.
    pub(crate) update_profile_with_terms: Option<&'static str>,
    /// What an account is found by.
    pub(crate) keep_terms: &'static str,
    /// A page of a search.
    pub(crate) search_users: &'static str,
    /// The end of old counts of guesses.
    pub(crate) purge_guesses: &'static str,
    /// The first row of second factors of an account, guarded by it.
    pub(crate) insert_factors: &'static str,
    /// The guard of a passkey that is added: its account.
    pub(crate) hold_for_passkey: &'static str,
    /// The guard of a passkey that is taken away: its account.
    pub(crate) hold_for_passkey_end: &'static str,
    /// The end of challenges that have expired.
    pub(crate) purge_passkey_challenges: &'static str,
    /// A one-time token, guarded by its account.
    pub(crate) insert_one_time_token: &'static str,
    /// The end of one-time tokens that have expired.
    pub(crate) purge_one_time_tokens: &'static str,
    /// The messages that a worker takes.
    pub(crate) claim_messages: &'static str,
    /// The end of messages that are done with.
    pub(crate) purge_messages: &'static str,
}

/// The texts for SQLite 3.39 and later.
pub(crate) const SQLITE: Dialect = Dialect {
    rotate: session::ROTATE_SQLITE,
    insert_session: session::INSERT_SQLITE,
    insert_password: credential::INSERT_SQLITE,
    end_impersonations_by_role: session::END_BY_ROLE_SQLITE,
    purge_sessions: session::PURGE_SQLITE,
    purge_sealed_events: audit::PURGE_SQLITE,
    lock_roles: role::LOCK_SQLITE,
    expect_roles: role::EXPECT_VERSION_SQLITE,
    hold_access: user::HOLD_ACCESS_SQLITE,
    insert_user_with_terms: None,
    update_profile_with_terms: None,
    keep_terms: user_search::KEEP_SQLITE,
    search_users: user_search::SEARCH_SQLITE,
    purge_guesses: guess::PURGE_SQLITE,
    insert_factors: factor::INSERT_SQLITE,
    hold_for_passkey: passkey::HOLD_FOR_INSERT_SQLITE,
    hold_for_passkey_end: passkey::HOLD_FOR_DELETE_SQLITE,
    purge_passkey_challenges: passkey::PURGE_SQLITE,
    insert_one_time_token: one_time_token::INSERT_SQLITE,
    purge_one_time_tokens: one_time_token::PURGE_SQLITE,
    claim_messages: outbox::CLAIM_SQLITE,
    purge_messages: outbox::PURGE_SQLITE,
};

/// The texts for PostgreSQL 14 and later.
pub(crate) const POSTGRES: Dialect = Dialect {
    rotate: session::ROTATE_POSTGRES,
    insert_session: session::INSERT_POSTGRES,
    insert_password: credential::INSERT_POSTGRES,
    end_impersonations_by_role: session::END_BY_ROLE_POSTGRES,
    purge_sessions: session::PURGE_POSTGRES,
    purge_sealed_events: audit::PURGE_POSTGRES,
    lock_roles: role::LOCK_POSTGRES,
    expect_roles: role::EXPECT_VERSION_POSTGRES,
    hold_access: user::HOLD_ACCESS_POSTGRES,
    insert_user_with_terms: Some(user::INSERT_WITH_TERMS_POSTGRES),
    update_profile_with_terms: Some(user::UPDATE_PROFILE_WITH_TERMS_POSTGRES),
    keep_terms: user_search::KEEP_POSTGRES,
    search_users: user_search::SEARCH_POSTGRES,
    purge_guesses: guess::PURGE_POSTGRES,
    insert_factors: factor::INSERT_POSTGRES,
    hold_for_passkey: passkey::HOLD_FOR_INSERT_POSTGRES,
    hold_for_passkey_end: passkey::HOLD_FOR_DELETE_POSTGRES,
    purge_passkey_challenges: passkey::PURGE_POSTGRES,
    insert_one_time_token: one_time_token::INSERT_POSTGRES,
    purge_one_time_tokens: one_time_token::PURGE_POSTGRES,
    claim_messages: outbox::CLAIM_POSTGRES,
    purge_messages: outbox::PURGE_POSTGRES,
};
