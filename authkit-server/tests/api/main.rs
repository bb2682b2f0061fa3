//! The HTTP contract, held against the real binary: every route, every documented problem, and what hostile clients send.

mod account;
mod administration;
mod audit;
mod audit_export;
mod audit_stream;
mod authentication;
mod authorization_matrix;
mod bad_bodies;
mod bad_connections;
mod bad_tokens;
mod browser;
mod database;
mod fuzz;
mod links;
mod mail_flows;
mod master_key;
mod mfa;
mod mfa_policy;
mod openapi;
mod operations;
mod operator;
mod own_account;
mod passkey_page;
mod passkeys;
mod problem;
mod rate_limits;
mod refresh_race;
mod registration;
mod roles;
mod secrets;
mod seed;
mod sessions;
mod shutdown;
mod smtp;
#[path = "../support/mod.rs"]
mod support;
mod two_servers;

/// The cheapest hash that the settings take (OWASP's smallest memory): what is tested here is not the hash. Hashes may wait
/// long, since other tests compute as well. All tests come from one address; those about rate limits turn them on again.
const SETTINGS: &[(&str, &str)] = &[
    ("AUTHKIT_ARGON2_MEMORY_KIB", "7168"),
    ("AUTHKIT_ARGON2_ITERATIONS", "5"),
    ("AUTHKIT_HASHING_MAX_WAIT", "10s"),
    ("AUTHKIT_RATE_LIMITING", "off"),
];

/// For servers that end and begin again on another port: who issued a token does not follow the port.
const PUBLIC_URL: (&str, &str) = ("AUTHKIT_PUBLIC_URL", "http://localhost:8000");

/// The settings, and some more.
fn settings_with<'s>(more: &[(&'s str, &'s str)]) -> Vec<(&'s str, &'s str)> {
    SETTINGS.iter().chain(more).copied().collect()
}
