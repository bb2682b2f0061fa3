//! What happens when a part is away: who goes on, who closes, and how each comes back.
//!
//! Two rules decide all of it. *No check of a secret ever falls open*: what cannot be checked is refused with a time to come back.
//! *What must survive is in the store*, and everything else can be rebuilt from there, so that losing it costs time and nothing more.
//!
//! | part | while it is away | when it is back |
//! |---|---|---|
//! | [`Store`](crate::ports::Store) | Access tokens are verified, with the revocations that were known when it went; public keys are published. Everything else is `service.unavailable` with a time to come back, within the deadline of the store, and nothing is half-done. The node is not ready. | It is asked again by itself. What is owed (revocations of the meantime) is read first. |
//! | [`RevocationBus`](crate::ports::RevocationBus) | Revocations travel by way of the store, within a second. No token revives. Health says degraded. | A gap is reported, and the store is read anew. |
//! | [`RateLimiter`](crate::ports::RateLimiter) | Each node counts by itself, its part of each quota: never without a limit, and nobody is shut out. Health says degraded. | The shared counts go on; they may be a burst behind. |
//! | [`RecordCache`](crate::ports::RecordCache) | Every read goes to the store. A node whose invalidation failed reads nothing from the cache for 30 s. Health says degraded. | It is filled again as it is read. |
//! | [`KeyCustody`](crate::ports::KeyCustody) | Keys that were opened go on; none is made or opened, so that a start fails. | The next look at the keys, a minute later at most. |
//! | the clock of a node | Beyond 30 s from the store's, the node is not ready: its tokens would be refused elsewhere. | The next look, a minute later at most. |
//!
//! # A reply that is lost
//! A commit whose answer did not come may have happened. No layer repeats it: the caller is told `service.unavailable`, and whoever
//! asks again finds out. A refresh gets the same successor again, a registration finds its address taken, a logout succeeds as well
//! when the session has ended. What was begun is finished, also when the client has gone away.
//!
//! # Rivals
//! Guards are part of their statements, so that of two rivals one is told what changed. Where the database undoes a transaction
//! because it stood in another's way, it is begun anew; what was undone comes back one piece at a time, and no caller learns of it.
//!
//! # How it is shown
//! Each row has its tests, against the real thing: a PostgreSQL that is stopped, frozen out, cut off, read-only or full of locks
//! (`authkit-sqlx/tests/postgres`, `authkit-server/tests/postgres.rs`), a Redis that is killed, frozen, full or flushed
//! (`authkit-redis/tests`), three servers that lose each part under load while the database is held against what their clients
//! were told (`authkit-server/tests/nodes`), and the simulator, which does all that in virtual time
//! (`authkit-core/tests/simulation`).
