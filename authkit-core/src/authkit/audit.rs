//! The face of the audit log.

use std::time::Duration;

use crate::flows::engine::Engine;
use crate::flows::{
    self, Administrator, AuditPurge, AuditPurgeError, AuditStreamError, AuditStreamHealth, AuthorizeError, Explanation, Internal,
    Principal, Sealed, SecurityEvent, Verification, VerifyOptions,
};
use crate::model::{AuditEvent, AuditFilter, AuditSeal, KeyId, RequestContext};
use crate::primitives::{Page, PageLimit, PageRequest, RequestId};

/// The audit log.
#[derive(Debug, Clone, Copy)]
pub struct Audit<'a> {
    pub(super) engine: &'a Engine,
}

impl Audit<'_> {
    /// The events that a filter asks for.
    pub async fn events(&self, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditEvent>, Internal> {
        Ok(self.engine.store.audit_events(filter, page).await?)
    }

    /// The events that a filter asks for, for somebody who may read the log: with the permission `audit:read`.
    pub async fn events_for(
        &self,
        principal: &Principal,
        filter: &AuditFilter,
        page: PageRequest,
    ) -> Result<Page<AuditEvent>, AuthorizeError> {
        flows::audit_log::events_for(self.engine, principal, filter, page).await
    }

    /// What happened in a request and why, for somebody who may read the log: with the permission `audit:read`.
    pub async fn explain_for(&self, principal: &Principal, request_id: RequestId) -> Result<Explanation, AuthorizeError> {
        flows::audit_log::explain_for(self.engine, principal, request_id).await
    }

    /// What happened in a request and why, in plain words: why a login or a refresh was refused.
    pub async fn explain(&self, request_id: RequestId) -> Result<Explanation, Internal> {
        flows::audit_log::explain(self.engine, request_id).await
    }

    /// What happened to the caller's account, as she may know it, the youngest first.
    pub async fn security_events(&self, principal: &Principal, page: PageRequest) -> Result<Page<SecurityEvent>, Internal> {
        flows::audit_log::security_events(self.engine, principal, page).await
    }

    /// Seals what is old enough to be sealed, now: the background task of every node does it every ten seconds.
    pub async fn seal(&self) -> Result<Sealed, Internal> {
        flows::audit_seal::seal(self.engine, flows::audit_seal::Round::Asked).await
    }

    /// Hands on what the sink has not got yet, now, and says how many events that were: the background task does it every second.
    pub async fn hand_on(&self) -> Result<usize, AuditStreamError> {
        flows::audit_stream::work(self.engine).await
    }

    /// For how long an event has been waiting for its seal, beyond the time that it has to, and how handing on goes; both as this node
    /// sees them, without I/O.
    #[must_use]
    pub fn progress(&self) -> (Duration, Option<AuditStreamHealth>) {
        let now = self.engine.now();
        (self.engine.sealing.behind(now), self.engine.streaming.health(now))
    }

    /// Begins to export the log for somebody who may read it: writes it down, and returns the filter, bounded so that the export ends.
    pub async fn begin_export(
        &self,
        by: impl Into<Administrator<'_>>,
        filter: AuditFilter,
        context: &RequestContext,
    ) -> Result<AuditFilter, AuthorizeError> {
        flows::audit_export::begin(self.engine, by.into(), filter, context).await
    }

    /// Verifies that nothing in the log was altered, removed, added or put elsewhere since it was sealed.
    pub async fn verify(&self, options: &VerifyOptions) -> Result<Verification, Internal> {
        flows::audit_verify::verify(self.engine, options).await
    }

    /// The end of the chain of seals, with its signature: to be kept elsewhere, for a later [`verify`](Self::verify).
    pub async fn head(&self) -> Result<Option<AuditSeal>, Internal> {
        Ok(self.engine.store.last_audit_seal().await?)
    }

    /// The seals behind a number, in order.
    pub async fn seals(&self, after: u64, limit: PageLimit) -> Result<Vec<AuditSeal>, Internal> {
        Ok(self.engine.store.audit_seals(after, limit).await?)
    }

    /// The public keys that verify the seals, oldest first: the names and the keys as JWKs (RFC 7517), as JSON.
    #[must_use]
    pub fn public_keys(&self) -> Vec<(KeyId, String)> {
        let keyring = self.engine.keyring.load();
        keyring.seal_keys().iter().map(|key| (key.id().clone(), key.public_jwk().to_owned())).collect()
    }

    /// Forgets the events of whole seals that are all older than `older_than`, which is at least a day; in a dry run it only says
    /// which. The seals stay, and the chain stays verifiable. Nothing does this by itself.
    pub async fn purge(&self, older_than: Duration, dry_run: bool) -> Result<AuditPurge, AuditPurgeError> {
        flows::audit_purge::purge(self.engine, older_than, dry_run).await
    }
}
