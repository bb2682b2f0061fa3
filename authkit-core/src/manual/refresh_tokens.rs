//! Refresh tokens: one row per session, a derived successor, one lineage.
//!
//! A refresh token is opaque text with a session, a generation, a 256-bit secret and a MAC in it. The session's row holds the
//! current generation and the SHA-256 of the current secret, so a copy of the database holds no usable token. The MAC is checked
//! first: a token that this service did not issue costs no look-up and can end nobody's session.
//!
//! # Rotation
//! [`Store::rotate`](crate::ports::Store::rotate) is one guarded write: next generation and next secret, *if* generation and
//! secret are still the presented ones, the session is live and its account active. Of sixty-four requests with the same
//! token, one moves the row.
//!
//! # The successor is derived, not drawn
//! It is an HMAC of the presented token under a key of the server. A client that lost the reply, or a second tab that came in
//! at the same moment, finds the row moved on by one; the server derives the successor again, sees that it is the very one
//! that the row holds, and hands it out once more. All of them hold the same token: there is one lineage, and nothing secret
//! had to be stored for it. That ends when the successor is used, or after the grace
//! ([`ReusePolicy::Grace`](crate::config::ReusePolicy::Grace), by default ten seconds).
//!
//! # Reuse
//! Anything older means that two parties hold tokens of one session. The session is revoked, which is audited, and both have to
//! log in again (RFC 9700 §4.14.2). Only this session: the other devices of the user were not copied.
//!
//! # After a restore
//! A token that is *newer* than its row means that the database was restored from an older state. Nobody stole anything: the
//! client is asked to log in, and the session is left alone.
