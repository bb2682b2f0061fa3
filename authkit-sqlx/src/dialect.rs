//! Where the databases differ: one constant per dialect and statement, chosen once when a store is opened.

use crate::aggregate::factor;
use crate::aggregate::guess;
use crate::aggregate::{audit, credential, session};
use crate::aggregate::{one_time_token, outbox};
use crate::aggregate::{user, user_search};

/// The texts that no single spelling serves.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// The guarded rotation of a refresh token, which returns the session and its account; see [`session::rotation`].
    pub(crate) rotate: &'static str,
    /// The beginning of a session, guarded by its account.
    pub(crate) insert_session: &'static str,
    /// The first password of an account, guarded by it.
    pub(crate) insert_password: &'static str,
    /// The end of sessions that are long over.
    pub(crate) purge_sessions: &'static str,
    /// The end of the audit events of a seal.
    pub(crate) purge_sealed_events: &'static str,
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
    purge_sessions: session::PURGE_SQLITE,
    purge_sealed_events: audit::PURGE_SQLITE,
    insert_user_with_terms: None,
    update_profile_with_terms: None,
    keep_terms: user_search::KEEP_SQLITE,
    search_users: user_search::SEARCH_SQLITE,
    purge_guesses: guess::PURGE_SQLITE,
    insert_factors: factor::INSERT_SQLITE,
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
    purge_sessions: session::PURGE_POSTGRES,
    purge_sealed_events: audit::PURGE_POSTGRES,
    insert_user_with_terms: Some(user::INSERT_WITH_TERMS_POSTGRES),
    update_profile_with_terms: Some(user::UPDATE_PROFILE_WITH_TERMS_POSTGRES),
    keep_terms: user_search::KEEP_POSTGRES,
    search_users: user_search::SEARCH_POSTGRES,
    purge_guesses: guess::PURGE_POSTGRES,
    insert_factors: factor::INSERT_POSTGRES,
    insert_one_time_token: one_time_token::INSERT_POSTGRES,
    purge_one_time_tokens: one_time_token::PURGE_POSTGRES,
    claim_messages: outbox::CLAIM_POSTGRES,
    purge_messages: outbox::PURGE_POSTGRES,
};
