//! The one door to what is demanded: of whom a second factor is, and which can be turned on.

use crate::config::MfaPolicy;
use crate::flows::engine::Engine;
use crate::model::{AuthMethod, FactorKind, FactorSet, User};
use crate::primitives::Timestamp;
use crate::rbac::EffectiveAccess;

/// Whether no session of this account may begin without a second factor: by the settings, or by one of its roles or what they inherit,
/// as this node knows them.
pub(crate) fn is_demanded(engine: &Engine, user: &User, at: Timestamp) -> bool {
    let graph = engine.access.graph();
    let assignments = &user.access.assignments;
    let by_role = || assignments.iter().any(|given| given.is_in_force(at) && graph.demands_second_factor(&given.role));
    match engine.config.mfa.policy {
        MfaPolicy::Roles => by_role(),
        MfaPolicy::Administrators => by_role() || EffectiveAccess::of(assignments, &graph).holds("*", || at),
        MfaPolicy::Everybody => true,
    }
}

/// The factors in force that can be asked for behind these first factors.
///
/// SECURITY: a link was mailed to the same box as the code would be: whoever reads that has shown one thing, twice. Behind it a code
/// by mail counts for nothing, and whoever has no other factor needs a recovery code.
pub(crate) fn offered(factors: FactorSet, methods: &[AuthMethod]) -> FactorSet {
    let by_mail_alone = methods.contains(&AuthMethod::MailedLink)
        && !methods.iter().any(|method| matches!(method, AuthMethod::Password | AuthMethod::Passkey));
    if by_mail_alone { factors.without(FactorKind::Email) } else { factors }
}
