//! Settings of registration: who may make an account, and what the answer says about others.

/// Settings of registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistrationConfig {
    /// Whether whoever comes may make an account. Default yes.
    ///
    /// Without it every way to make an account by oneself is refused, in the flows and not in a user interface (CVE-2024-49757);
    /// administrators and operators go on to make them.
    pub open: bool,
    /// Whether the answer to a registration may say that the address has an account. Default yes: whoever registers is logged in at
    /// once, and an address that is taken is refused.
    ///
    /// Without it (ASVS 6.3.8) nobody is logged in by a registration. The answer is the same and takes the same time for every
    /// address, a mail says the rest, and the password that was chosen is good for nothing until the link of that mail was opened:
    /// a login would otherwise tell what the answer kept quiet. It needs a mailer.
    pub reveal_existing: bool,
}

impl Default for RegistrationConfig {
    fn default() -> Self {
        Self { open: true, reveal_existing: true }
    }
}
