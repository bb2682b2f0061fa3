//! The floors of the library, and the life of a use case.
//!
//! ```text
//! face        AuthKit, the builder, the errors under one roof
//! flows       one file per use case: the only code that reads ports and commits
//! mechanisms  password (policy, hashing pool), token (access, refresh, keys): pure rules that know no port
//! embedded    the ports' implementations that need no service
//! config      settings, each with its unit, its default and its source
//! ports       what a host can plug in: the store, the revocation bus, the custody of keys
//! model       plain data, and the changes that it can undergo
//! primitives  identifiers, addresses, secrets, digests, time, randomness, pages
//! ```
//!
//! A module names only the floors below it, and mechanisms do not name each other; `tests/layering.rs` reads the source and
//! holds it to that.
//!
//! # Read, decide, commit once
//! Every use case takes one reading of the clock, reads what it needs, decides in plain code, and hands one
//! [`ChangeSet`](crate::model::ChangeSet) to [`Store::commit`](crate::ports::Store::commit): everything that it changes, its
//! audit events included. The store applies all of it or none of it. So a crash leaves nothing half-made, and an audit event
//! exists exactly when its change does.
//!
//! A change carries its guard inside: "replace the hash *if it is still the one that was verified*", "begin the session *if
//! the account is active and its epoch has not moved*". A guard is part of the statement, never a check before it, so two
//! requests that each look right cannot be wrong together. A guard that does not hold fails the whole set with a
//! [`Conflict`](crate::ports::Conflict) that says which.
//!
//! What an attacker does is an outcome, not an error: a refresh token that is used twice gives
//! [`Refreshed::Reused`](crate::flows::Refreshed::Reused), and the end of its session *is committed*. `Err` is for requests
//! that cannot be served.
//!
//! # Time and randomness
//! Both are handed in ([`Clock`](crate::Clock), [`Entropy`](crate::Entropy)), and the linter bans the rest. What must only
//! ever grow (the generation of a refresh token, the epoch of an account, the serial of a key) is a counter in a row, never a
//! time: two events in the same second must not look like one.
