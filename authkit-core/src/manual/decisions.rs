//! Choices that could have gone another way.
//!
//! # The life cycle of a key is time, not state
//! A key has the instant from which it signs, and nothing else about it changes. *Next*, *current* and *retired* follow from
//! that and the clock, so no state has to be moved on by anybody, no node can see half of a rotation, and two nodes that
//! rotate at once draw the same serial number, of which one loses.
//!
//! # An epoch on the account guards new sessions
//! A login verifies a password, and some time later inserts a session. If the password is changed in between, the change ends
//! all other sessions, but the new one is not there yet. So the account counts how often its means of access were replaced,
//! the change raises that counter, and the insert of a session is guarded by the value that was read with the password.
//!
//! # A closed account leaves a tombstone
//! The row of a closed account stays, emptied of everything personal and invisible to every read, so that the revocation of its
//! sessions still reaches every node and the audit log still points somewhere.
//!
//! # Rotations are not audited one by one
//! A refresh is one write to one row, and the row says when and from where it happened last. An audit event for each would make
//! the log grow with every client that is merely awake. The reuse of a token is audited.
//!
//! # ES256 by default
//! Ed25519 is faster and smaller, but gateways and older libraries that verify only RS256 and ES256 are still common. Whoever
//! controls every consumer sets EdDSA.
//!
//! # A full queue is refused before the account is looked up
//! Under more logins than the processor can hash, somebody has to be turned away. That happens before anything is read, so
//! that being turned away says nothing about an account, and it is a 503 with a time to come back, never a slow failure of all.
//!
//! # What is over is forgotten by everybody, a little at a time
//! Each node deletes ended sessions, and old audit events where the host has said how old, in transactions of 500 rows once a minute.
//! No node has to be elected for it: rows that another one is deleting are skipped. The events themselves are kept for ever unless
//! the host says otherwise, because how long they must be kept is for the law to say, not for us.
//!
//! # A plan instead of a transaction that is handed in
//! An embedder who wants an account and her own row together could hand her transaction to the library, which would then hash a
//! password while it is open. So a use case is decided first, as a [`Planned`](crate::Planned) change set, and the store applies it
//! inside whatever transaction it is given: nothing slow, and no decision, happens there.
//!
//! # A refused request is not audited
//! The audit log has what was judged: each attempt that a rate limit let through, so at most a quota's worth of each address and
//! account. What was turned away judged nothing and changed nothing. An event for each would let a stranger fill the database at the
//! speed of the network, which is what the limit is there to prevent. Refusals are counted by scope for the metrics, and the log is told
//! of each scope once a minute.
//!
//! # Buckets are charged in order, not all or none
//! All or none would need one place for all buckets of a request, which a cluster of limiters cannot give, and it would let somebody
//! hammer at an account that is used up without paying for it. In order, the client's own bucket first, an address that is used up
//! cannot use up an account, and every attempt costs its address.
//!
//! # What is cached, and what is not
//! A [`RecordCache`](crate::ports::RecordCache) holds accounts for whoever looks at her own profile, and nothing else. Sessions are
//! read by their id in three flows, a logout, the end of a session, a renewed proof of identity, and each of them decides something:
//! from a cache it could decide wrongly for as long as an invalidation takes. Logins and refreshes read and guard in the store for
//! the same reason, and tell the cache nothing, because neither changes an account. The access token itself is verified without
//! any of that.
//!
//! Without a word from the host nothing is cached: a store in the same process or the same rack answers as fast as a cache does.
//!
//! # Passwords are composed (NFC), not folded (NFKC)
//! SP 800-63B speaks of compatibility normalisation, ASVS 6.2.8 of the password exactly as received. Composition alone makes
//! the same keys on two systems the same password; folding would make different passwords equal.
