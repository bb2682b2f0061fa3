//! The audit log for administrators: `/api/v1/admin`.

use authkit_core::AuthKit;
use authkit_core::model::{AuditAction, AuditFilter, Outcome, RequestContext};
use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;

use super::audit_export::{AuditLines, stream};
use super::audit_reply::{AuditEventPageBody, ExplanationBody};
use super::caller::Caller;
use super::me::page;
use super::refusal::refused;
use super::tag::Tag;
use crate::cli::audit::timestamp;
use crate::problem::Problem;

/// The routes of the audit log.
#[derive(Debug)]
pub struct AuditRoutes {
    auth: AuthKit,
}

impl AuditRoutes {
    pub(super) const fn new(auth: AuthKit) -> Self {
        Self { auth }
    }
}

#[OpenApi(prefix_path = "/api/v1/admin", tag = "Tag::Audit")]
impl AuditRoutes {
    /// Search the audit log
    ///
    /// Needs `audit:read`. The youngest first. What is named has to fit, all of it.
    #[oai(path = "/audit-events", method = "get", operation_id = "listAuditEvents")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn events(
        &self,
        Caller(caller): Caller,
        /// Who did it: the id of a user.
        actor: Query<Option<String>>,
        /// To whose account: the id of a user.
        subject: Query<Option<String>>,
        /// What, as in `auth.login`.
        action: Query<Option<String>>,
        /// From this instant on, RFC 3339.
        from: Query<Option<String>>,
        /// Before this instant, RFC 3339.
        to: Query<Option<String>>,
        /// `success` or `failure`.
        outcome: Query<Option<String>>,
        /// In which request.
        request_id: Query<Option<String>>,
        /// How many at most: 1 to 200, by default 50.
        limit: Query<Option<String>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> poem::Result<Json<AuditEventPageBody>> {
        let page = page(limit.0.as_deref(), cursor.0.as_deref())?;
        let asked = Asked { actor, subject, action, from, to, outcome, request_id };
        let events = self.auth.audit().events_for(&caller, &asked.filter()?, page).await.map_err(refused)?;
        Ok(Json(AuditEventPageBody::from(events)))
    }

    /// Export the audit log
    ///
    /// Needs `audit:read`. One JSON object a line, the oldest first, up to the moment of the request; what is named has to fit, all of
    /// it. That it was exported is in the audit log. A reply that breaks off, or ends without its last chunk, is not whole.
    #[oai(path = "/audit-events/export", method = "get", operation_id = "exportAuditEvents")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the query")]
    async fn export(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// Who did it: the id of a user.
        actor: Query<Option<String>>,
        /// To whose account: the id of a user.
        subject: Query<Option<String>>,
        /// What, as in `auth.login`.
        action: Query<Option<String>>,
        /// From this instant on, RFC 3339.
        from: Query<Option<String>>,
        /// Before this instant, RFC 3339.
        to: Query<Option<String>>,
        /// `success` or `failure`.
        outcome: Query<Option<String>>,
        /// In which request.
        request_id: Query<Option<String>>,
    ) -> poem::Result<AuditLines> {
        let asked = Asked { actor, subject, action, from, to, outcome, request_id };
        let filter = asked.filter()?.oldest_first();
        let filter = self.auth.audit().begin_export(&caller, filter, &context).await.map_err(refused)?;
        Ok(AuditLines(stream(self.auth.clone(), caller, filter)))
    }

    /// Explain a request
    ///
    /// Needs `audit:read`. Says exactly why a login or a refresh was refused.
    #[oai(path = "/explain", method = "get", operation_id = "explainRequest")]
    async fn explain(
        &self,
        Caller(caller): Caller,
        /// The id of the request, from `X-Request-Id` or the problem document.
        request_id: Query<Option<String>>,
    ) -> poem::Result<Json<ExplanationBody>> {
        let named = parameter("request_id", "the id of a request", request_id.0, |text| text.parse().ok())?;
        let request_id = named.ok_or_else(|| invalid("request_id", "the id of a request"))?;
        let found = self.auth.audit().explain_for(&caller, request_id).await.map_err(refused)?;
        Ok(Json(ExplanationBody::from(found)))
    }
}

/// Which events are asked for, as it is written in a query.
struct Asked {
    actor: Query<Option<String>>,
    subject: Query<Option<String>>,
    action: Query<Option<String>>,
    from: Query<Option<String>>,
    to: Query<Option<String>>,
    outcome: Query<Option<String>>,
    request_id: Query<Option<String>>,
}

impl Asked {
    fn filter(self) -> Result<AuditFilter, Problem> {
        let mut filter = AuditFilter::new();
        filter.actor = parameter("actor", "the id of a user", self.actor.0, |text| text.parse().ok())?;
        filter.subject = parameter("subject", "the id of a user", self.subject.0, |text| text.parse().ok())?;
        filter.action = parameter("action", "the name of an action, as in auth.login", self.action.0, AuditAction::from_name)?;
        filter.outcome = parameter("outcome", "success or failure", self.outcome.0, Outcome::from_name)?;
        filter.request_id = parameter("request_id", "the id of a request", self.request_id.0, |text| text.parse().ok())?;
        if let Some(from) = parameter("from", INSTANT, self.from.0, timestamp)? {
            filter = filter.since(from);
        }
        if let Some(to) = parameter("to", INSTANT, self.to.0, timestamp)? {
            filter = filter.until(to);
        }
        Ok(filter)
    }
}

const INSTANT: &str = "an instant as in 2026-01-31T00:00:00Z";

fn invalid(name: &'static str, expected: &str) -> Problem {
    let title = "A parameter of the request is not valid";
    let problem = Problem::new(StatusCode::BAD_REQUEST, "request.invalid_parameter", title);
    problem.field(name, "invalid_parameter", format!("must be {expected}"))
}

fn parameter<T>(
    name: &'static str,
    expected: &str,
    text: Option<String>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    text.map(|text| parse(&text).ok_or_else(|| invalid(name, expected))).transpose()
}
