//! What is recorded of requests that were turned away.
//!
//! SECURITY: a refusal that costs its sender nothing must not cost us a row. What somebody can cause without holding anything is
//! recorded sparsely, within quotas of each node; what needs a token of ours, or a password that was judged, is bounded by that.

use std::sync::Arc;

use crate::config::LimitConfig;
use crate::flows::engine::{Engine, Internal};
use crate::model::{AuditEvent, LimitScope};
use crate::ports::{BucketKey, Charge, RateLimiter};
use crate::primitives::client_network;

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
    let recorded: Result<(), Internal> = engine.record_refusal(event).await;
    if let Err(error) = recorded {
        tracing::warn!(error = &error as &dyn std::error::Error, "a refusal could not be recorded");
    }
}
