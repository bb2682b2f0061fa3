//! The one door to notices: what the owner of an account is told about it, in the change set that causes it.
//!
//! A notice says what happened, when, from where and what to do if it was not her. It holds no link that does anything.

use crate::flows::engine::{Engine, Internal};
use crate::flows::outbox::{self, Cause};
use crate::model::{ChangeSet, Notice, RequestContext, User};
use crate::primitives::Timestamp;

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
