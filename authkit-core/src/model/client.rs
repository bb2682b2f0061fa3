//! Who is at the other end of a request.

use std::net::IpAddr;

use crate::model::RateLimitReport;
use crate::primitives::{Locale, RequestId, UserAgent};

/// The client of a request, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Client {
    /// The address, after trusted proxies were taken off.
    pub ip: Option<IpAddr>,
    /// What it says it is.
    pub user_agent: Option<UserAgent>,
}

/// What every use case is told about the request that it serves, and what it says about it beside its answer.
#[derive(Debug, Clone, Default)]
pub struct RequestContext {
    /// The client.
    pub client: Client,
    /// The id of the request, for the audit log.
    pub request_id: Option<RequestId>,
    /// The language that the client prefers (RFC 9110 §12.5.4), for mail to an account whose owner has chosen none.
    pub language: Option<Locale>,
    /// What the request has left of its quotas, written down by the flow that counted it.
    pub rate_limit: RateLimitReport,
}
