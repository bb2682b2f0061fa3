//! The one door to notices: what the owner of an account is told about it, in the change set that causes it.
//!
//! A notice says what happened, when, from where and what to do if it was not her. It holds no link that does anything.

use crate::flows::engine::{Engine, Internal};
use crate::flows::outbox::{self, Cause};
use crate::model::{AuditAction, AuditFilter, ChangeSet, Notice, Outcome, RequestContext, Session, User};
use crate::primitives::{PageLimit, PageRequest, Timestamp};

/// Adds a notice to `user`, at the address that the account has as it was read, to what is committed: told is what was done, and
/// nothing else. Nothing is added where this node has nobody to send it.
///
/// INVARIANT: whatever changes the means of access to an account goes through here in the set that changes them (ASVS 6.3.7).
pub(crate) async fn notice(
    engine: &Engine,
    changes: ChangeSet,
    user: &User,
    notice: Notice,
    context: &RequestContext,
    at: Timestamp,
) -> Result<ChangeSet, Internal> {
    outbox::enqueue_mail(engine, changes, user, notice.into(), &Cause::of(context, at), None).await
}

/// Adds a notice of a login on a device that the account did not know, unless it is the first login of the account, or comes from where
/// somebody is logged in with the same program already: who keeps no cookie would be told of herself again and again.
///
/// Only where there is nobody who is logged in does the audit log have to say whether anybody ever was. Nothing is read, and nothing said,
/// where this node has nobody to send it.
pub(crate) async fn login_on_unknown_device(
    engine: &Engine,
    changes: ChangeSet,
    user: &User,
    context: &RequestContext,
    at: Timestamp,
) -> Result<ChangeSet, Internal> {
    if engine.mailer.is_none() {
        return Ok(changes);
    }
    let live = engine.store.live_sessions(user.id, at, PageRequest::default()).await?;
    let is_here = |session: &Session| [&session.created_by, &session.last_used_by].contains(&&context.client);
    if context.client.ip.is_some() && live.items.iter().any(is_here) {
        return Ok(changes);
    }
    if live.items.is_empty() {
        let logins = AuditFilter::new().subject(user.id).action(AuditAction::Login).outcome(Outcome::Success);
        let one = PageRequest { limit: PageLimit::new(1).unwrap_or_default(), cursor: None };
        if engine.store.audit_events(&logins, one).await?.items.is_empty() {
            return Ok(changes);
        }
    }
    notice(engine, changes, user, Notice::NewDevice, context, at).await
}
