//! The groups in which the documentation shows the routes.

use poem_openapi::Tags;

/// A group of routes.
#[derive(Debug, Tags)]
pub(super) enum Tag {
    /// Register, log in, refresh, log out.
    Authentication,
    /// The caller's profile, password and sessions.
    #[oai(rename = "Your account")]
    Account,
    /// The accounts of others.
    Administration,
    /// Roles, what they give, and who has them.
    Roles,
    /// Messages that wait, were sent, or could not be.
    Outbox,
    /// What happened, and why.
    #[oai(rename = "Audit log")]
    Audit,
}
