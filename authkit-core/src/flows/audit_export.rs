//! The audit log is taken out: who did it, and what she asked for, is in the log before the first line is out.

use crate::flows::authorize::{Administrator, AuthorizeError, authorize};
use crate::flows::engine::{Engine, Internal, actor};
use crate::flows::refusals;
use crate::model::{Actor, AuditAction, AuditEvent, AuditFilter, AuditOrder, ChangeSet, Outcome, RequestContext};
use crate::primitives::AuditEventId;

/// The permission to read the log.
const READ: &str = "audit:read";

/// Writes down that the log is exported, and returns the filter with an end: what comes later than this export is not in it, so that
/// one that is slower than the log grows ends all the same.
pub(crate) async fn begin(
    engine: &Engine,
    by: Administrator<'_>,
    mut filter: AuditFilter,
    context: &RequestContext,
) -> Result<AuditFilter, AuthorizeError> {
    let now = engine.now();
    let exported = engine.event(now, AuditAction::AuditExported, Outcome::Success, context);
    let event = match by {
        Administrator::Operator => described(exported.by(Actor::System), &filter),
        Administrator::User(principal) => match authorize(engine, principal, READ).await {
            Ok(authority) => described(exported.by(authority.actor()), &filter),
            // SECURITY: whoever reaches for all of the log and may not is worth knowing, once in a while: it costs her nothing.
            Err(error @ AuthorizeError::Forbidden { .. }) => {
                if engine.refusals.of_limit("audit_export", principal.user_id().as_uuid().as_bytes()).await {
                    let refused = AuditEvent { outcome: Outcome::Failure, ..exported.by(actor(principal)) };
                    refusals::record(engine, described(refused, &filter).with("reason", "permission_required")).await;
                }
                return Err(error);
            }
            Err(error) => return Err(error),
        },
    };
    let below = filter.below.map_or(event.id, |below| below.min(event.id));
    engine.commit(&ChangeSet::new().and(event)).await.map_err(Internal::from)?;
    filter.below = Some(below);
    Ok(filter)
}

/// The event with what was asked for.
fn described(event: AuditEvent, filter: &AuditFilter) -> AuditEvent {
    let bound = |id: AuditEventId| id.instant().to_string();
    let asked = [
        ("filter.actor", filter.actor.map(|id| id.to_string())),
        ("filter.subject", filter.subject.map(|id| id.to_string())),
        ("filter.action", filter.action.map(|action| action.as_str().to_owned())),
        ("filter.outcome", filter.outcome.map(|outcome| outcome.as_str().to_owned())),
        ("filter.request_id", filter.request_id.as_ref().map(|id| id.as_str().to_owned())),
        ("filter.from", filter.from.map(bound)),
        ("filter.to", filter.below.map(bound)),
        ("order", (filter.order == AuditOrder::OldestFirst).then(|| "oldest_first".to_owned())),
    ];
    asked.into_iter().fold(event, |event, (name, value)| match value {
        Some(value) => event.with(name, value),
        None => event,
    })
}
