//! Rate limits: what is counted, by whom, and what a refusal costs.
//!
//! A flow that checks a secret or makes something counts the request before it does anything else: before it looks an account
//! up, before it asks for a place to hash. Being refused therefore says nothing about an account, takes the same time for all
//! of them, and costs microseconds. The limits live in the flows and not at the routes, so that whatever a host puts in front of a
//! flow, a form, a REST route, a GraphQL field, shares one budget.
//!
//! | what | counted by | setting | together with other nodes |
//! |---|---|---|---|
//! | login by an unknown device | address | [`login_per_address`](crate::config::LimitConfig::login_per_address) | yes |
//! | | address and account | [`login_per_address_and_account`](crate::config::LimitConfig::login_per_address_and_account) | yes |
//! | | account | [`login_per_account`](crate::config::LimitConfig::login_per_account) | yes |
//! | | node | [`logins_per_node`](crate::config::LimitConfig::logins_per_node) | no |
//! | login by a known device | address, then device | [`login_per_device`](crate::config::LimitConfig::login_per_device) | yes |
//! | registration | address | [`registration_per_address`](crate::config::LimitConfig::registration_per_address) | yes |
//! | | node | [`registrations_per_node`](crate::config::LimitConfig::registrations_per_node) | no |
//! | refresh | session | [`refresh_per_session`](crate::config::LimitConfig::refresh_per_session) | no |
//! | renewed proof of identity, change of password | account, together | [`password_per_account`](crate::config::LimitConfig::password_per_account) | yes |
//! | any request, where the host says so ([`count_request`](crate::AuthKit::count_request)) | address | [`requests_per_address`](crate::config::LimitConfig::requests_per_address) | no |
//!
//! Each line stands in front of the next: what belongs to the client before what belongs to its victim, and what a node can do
//! last, so that only a request that would be served uses it up. How often a password can be *guessed* is bounded besides, in the
//! store: see [`guessing`](crate::manual::guessing).
//!
//! The verification of an access token, a logout and a refresh token that was not issued here have no quota of their own: there is
//! nothing to guess. What they cost is bounded by the quota of all requests.
//!
//! # The address comes from the host
//! [`Client::ip`](crate::model::Client) is the address that is counted; a host that leaves it out has limits by account only. Behind
//! a proxy it must be the client's and not the proxy's, and a header may be believed only where a proxy of one's own wrote it.
//!
//! # Together and apart
//! One node counts in memory. Nodes that share a [`RateLimiter`](crate::ports::RateLimiter) count together. While that fails, each
//! node counts by itself and gives its part of every quota ([`nodes`](crate::config::LimitConfig::nodes)); the health endpoint
//! says so, and nothing has to be restarted when it is back. At either change a bucket begins full, so whoever tries
//! passwords at that moment gets at most twice the quota. Refreshes are always counted by the node alone.
//!
//! # What the client is told
//! [`RequestContext::rate_limit`](crate::RequestContext) has what one bucket said, whatever became of the request; the server makes
//! its `RateLimit-*` headers of it. It is the bucket that refused, or else the one that belongs to the client: what is left of the
//! account's would tell her that somebody else has just tried it. A refusal is the flow's `Throttled`, with the time after which the
//! same request is counted again, and it is kept: hammering in between does not put it off.
//!
//! # What a refusal is not
//! It is not audited: see [the decision](crate::manual::decisions#a-refused-request-is-not-audited). It is not a lockout either:
//! a quota comes back by itself, to everybody alike.
