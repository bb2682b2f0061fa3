//! What is recorded of requests that were turned away.
//!
//! SECURITY: a refusal that costs its sender nothing must not cost us a row. What somebody can cause without holding anything is
//! recorded sparsely, within quotas of each node; what needs a token of ours, or a password that was judged, is bounded by that.

use std::sync::Arc;

use crate::config::LimitConfig;
use crate::flows::engine::Engine;
use crate::model::{AuditAction, AuditEvent, ChangeSet, LimitScope, Outcome, RequestContext};
use crate::ports::{BucketKey, Charge, RateLimiter};
use crate::primitives::{UserId, client_network};

/// Decides which refusals are recorded.
#[derive(Debug)]
pub(crate) struct RefusalBook {
    own: Arc<dyn RateLimiter>,
}

impl RefusalBook {
    pub(crate) fn new(own: Arc<dyn RateLimiter>) -> Self {
        Self { own }
    }

    /// Whether a refusal by a token of ours is recorded.
    pub(crate) async fn of_session(&self, session: &[u8]) -> bool {
        self.takes(&[charge(LimitScope::RefusalSession, session)]).await
    }

    /// Whether a made-up token is recorded, by the network that it came from.
    pub(crate) async fn of_stranger(&self, ip: Option<std::net::IpAddr>) -> bool {
        let network = ip.map(|ip| client_network(ip).to_string()).unwrap_or_default();
        let network = charge(LimitScope::RefusalNetwork, network.as_bytes());
        self.takes(&[network, charge(LimitScope::RefusalNode, b"")]).await
    }

    /// Whether a request that was turned away unseen is recorded: the first of a while, by what turned it away and whom it is about.
    pub(crate) async fn of_limit(&self, what: &str, subject: &[u8]) -> bool {
        let subject = [what.as_bytes(), b"\0", subject].concat();
        self.takes(&[charge(LimitScope::RefusalSubject, &subject), charge(LimitScope::RefusalNode, b"")]).await
    }

    async fn takes(&self, charges: &[Charge]) -> bool {
        let readings = self.own.charge(charges).await.unwrap_or_default();
        readings.len() == charges.len() && readings.iter().all(crate::model::Reading::is_allowed)
    }
}

fn charge(scope: LimitScope, subject: &[u8]) -> Charge {
    Charge { key: BucketKey::new(scope, subject), quota: LimitConfig::default().quota(scope) }
}

/// Records a refusal that nobody waits for: a store that is away does not change what the refused are told.
pub(crate) async fn record(engine: &Engine, event: AuditEvent) {
    if let Err(error) = engine.commit(&ChangeSet::new().and(event)).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a refusal could not be recorded");
    }
}

/// What turned a request away before anything was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    /// A quota is used up, or too many wrong guesses came before.
    Throttled,
    /// Too many passwords are being hashed.
    Overloaded,
}

/// Whom a request that was turned away is about, as it says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About<'a> {
    /// An address that may have an account.
    Email(&'a str),
    /// Somebody who is logged in.
    User(UserId),
}

/// Records that a request was turned away, the first of a while for what turned it away and whom it is about.
pub(crate) async fn turned_away(
    engine: &Engine,
    turned: TurnedAway,
    what: AuditAction,
    about: About<'_>,
    context: &RequestContext,
) {
    let (action, scope) = match turned {
        TurnedAway::Throttled => (AuditAction::RateLimited, context.rate_limit.refused_by().unwrap_or("unknown")),
        TurnedAway::Overloaded => (AuditAction::Overloaded, "hashing"),
    };
    // One network, or one node, is one subject, whoever it asks about.
    let network = context.client.ip.map(|ip| client_network(ip).to_string()).unwrap_or_default();
    let by_account = !scope.ends_with("_address") && !scope.ends_with("_node") && turned == TurnedAway::Throttled;
    let user_id = match about {
        About::User(id) => id.to_string(),
        About::Email(_) => String::new(),
    };
    let subject = match about {
        _ if !by_account => network.as_bytes(),
        About::Email(email) => email.as_bytes(),
        About::User(_) => user_id.as_bytes(),
    };
    if !engine.refusals.of_limit(scope, subject).await {
        return;
    }
    let event = engine.event(engine.now(), action, Outcome::Failure, context).with("scope", scope).with("of", what.as_str());
    record(
        engine,
        match about {
            About::Email(email) => event.with("email", email),
            About::User(id) => event.on(id),
        },
    )
    .await;
}

/// Records what an error says of a request that was turned away, if it was.
macro_rules! turned_away_by {
    ($error:ident, $engine:expr, $outcome:expr, $what:expr, $about:expr, $context:expr) => {{
        use $crate::flows::refusals::{TurnedAway, turned_away};
        let outcome = $outcome;
        let turned = match &outcome {
            Err($error::Throttled { .. }) => Some(TurnedAway::Throttled),
            Err($error::Overloaded { .. }) => Some(TurnedAway::Overloaded),
            _ => None,
        };
        if let Some(turned) = turned {
            turned_away($engine, turned, $what, $about, $context).await;
        }
        outcome
    }};
}
pub(crate) use turned_away_by;
