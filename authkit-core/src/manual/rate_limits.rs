//! Rate limits: what is counted, by whom, and what a refusal costs.
//!
//! A flow that checks a secret or makes something counts the request before it does anything else: before it looks an account
//! up, before it asks for a place to hash. Being refused therefore says nothing about an account, takes the same time for all
//! of them, and costs microseconds. The limits live in the flows and not at the routes, so that whatever a host puts in front of a
//! flow, a form, a REST route, a GraphQL field, shares one budget.
//!
//! | flow | counted by | setting |
//! |---|---|---|
//! | login | address, then account | [`login_per_address`](crate::config::LimitConfig::login_per_address), [`login_per_account`](crate::config::LimitConfig::login_per_account) |
//! | registration | address | [`registration_per_address`](crate::config::LimitConfig::registration_per_address) |
//! | refresh | session | [`refresh_per_session`](crate::config::LimitConfig::refresh_per_session) |
//! | renewed proof of identity, change of password | account, together | [`password_per_account`](crate::config::LimitConfig::password_per_account) |
//!
//! The verification of an access token, a logout and a refresh token that was not issued here are not counted: they cost nothing
//! that could be used up, and there is nothing to guess.
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
//! [`RequestContext::rate_limit`](crate::RequestContext) has what the tightest bucket said, whatever became of the request; the
//! server makes its `RateLimit-*` headers of it. A refusal is the flow's `Throttled`, with the time after which the same request is
//! counted again, and it is kept: hammering in between does not put it off.
//!
//! # What a refusal is not
//! It is not audited: see [the decision](crate::manual::decisions#a-refused-request-is-not-audited). It is not a lockout either:
//! a quota comes back by itself, to everybody alike.
