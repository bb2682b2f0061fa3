//! The audit log: what is in it, why it can be believed, and what it cannot prove.
//!
//! # What is recorded
//! Every change that concerns security carries its event in the same change set, so that there is an event exactly when there is a
//! change. An event says who, what, on whom, from where, with what outcome, in which request; of a field that was changed what it was
//! and what it is (`changed.<field>.from`, `changed.<field>.to`), never of a secret. What comes from outside is cut at 512 characters,
//! and whatever could forge a line, a direction or a terminal is written as its escape
//! ([`AuditEvent::with`](crate::model::AuditEvent::with)).
//!
//! Refusals are recorded with their exact reason, by these rules, so that a flood fills neither the log nor the store:
//!
//! | refusal | recorded |
//! |---|---|
//! | a login that was judged (wrong password, unknown account, suspended) | each; the rate limits bound how many are judged |
//! | a refresh with a token of ours (revoked, expired, suspended, used before) | each, up to 20 at once and one a minute for each session |
//! | a refresh with a made-up token | 5 at once and one a minute from each network, 60 at once and one a second on each node |
//! | turned away by a rate limit or by an overload | the first of each minute, by what turned it away and whom it is about; the same bound for each node |
//! | an access token that does not verify | never: no I/O is done for it, and the access log has it |
//!
//! [`Audit::explain`](crate::Audit::explain) says in plain words why a request was refused, and where it finds nothing, what is recorded.
//!
//! # Append-only
//! A server reads and inserts; it needs neither UPDATE nor DELETE on the tables of events, seals and leaves, and a test runs one on
//! PostgreSQL without those rights. Retention is a command ([`Audit::purge`](crate::Audit::purge)) for somebody who has them.
//!
//! # Seals
//! Every ten seconds some node seals what has come: at most a thousand events, in the order of their ids. A *seal* states the number of
//! events, the root of a Merkle tree over them (RFC 9162), up to which id everything is covered (`through`), the digest of the seal
//! before, and the time, and is signed by an Ed25519 key that is used for nothing else. Beside it lie its *leaves*: for each event the id
//! and the hash of its canonical form, so that a verification can name the event that is wrong.
//!
//! **Which events?** An event gets its id before its transaction commits, so it can land behind a seal that has gone by already; a
//! sequence number would have the same gap. So a seal waits: an event is sealed when it is 90 s old
//! ([`AuditConfig::seal_after`](crate::config::AuditConfig)), which is twice what a clock may be off and as much again for its
//! transaction. What lands later all the same is found by counting, once a minute, and goes into the next seal as *late*, up to 15
//! minutes ([`late_within`](crate::config::AuditConfig)). What is later than that is not sealed: a verification calls it *added*, for
//! that is what an event looks like that somebody writes into the past.
//!
//! **Which node?** Any. The number of a seal is taken once, and only behind the seal whose digest it names: whoever loses the race has
//! written nothing, and there are no forks. A crash before the commit leaves nothing, after it everything. No login waits for any of this.
//!
//! # Verification
//! [`Audit::verify`](crate::Audit::verify) walks through the chain and through the events under it, a page at a time, and names what
//! was altered, removed, added or exchanged, the first in the order of the chain. The keys that it trusts are those whose private half
//! opens under the master key: whoever writes to the database and does not hold the master key cannot make a chain of her own. Or they are
//! handed in, for a verification elsewhere.
//!
//! It cannot prove anything
//! - against somebody who holds the database *and* the sealing key (or the master key): she can seal anew what she has changed. An
//!   *anchor* (the number and the digest of the last seal, kept where she does not come) shows it: every later chain has to contain it;
//! - of the newest seals, when they are cut off together with their events: only an anchor shows that they were there;
//! - of an event in the time before it is sealed.
//!
//! # Handing on
//! A host gives an [`AuditSink`](crate::ports::AuditSink) to the builder; the server has one for files and one for each kind of syslog.
//! Every event is handed over at least once, about a second after its commit, and a receiver knows a repetition by its id.
//!
//! **In which order, and how far?** There is no order of commits to be had: an id is drawn before its transaction commits. So two things
//! work together. The *tail* reads what has come in the order of ids every second, and looks back a few seconds each time (every tenth
//! time 45, by counting), and remembers what it has handed over. The *position* that is kept is the number of a seal: when a seal comes,
//! those of its events that the tail has not handed over are handed over, late ones included, and the position moves behind it in a
//! guarded statement. After a crash the position is all that is known, and what lies behind it, two minutes or so, comes again.
//!
//! **Which node?** The one that holds the lease: 20 s, prolonged by work. A node that cannot reach the receiver does not prolong it, so
//! another one tries. A node that was asleep beyond its lease repeats at most what it had in hand; it moves no position.
//!
//! **When the receiver is away** the same events are tried again, with pauses up to a minute; they wait in the log itself. Health says how
//! old the oldest of them is. A row that cannot be read stops the stream, loudly, instead of being skipped: it may be one of a newer
//! version, which a newer node reads. What was purged before it was handed over cannot be handed over.
//!
//! # Purge
//! A purge takes whole seals. First a seal states up to which number events may be gone, then they go, seal by seal, each in one
//! transaction with its leaves. So a crash leaves events that may go and are there; the next purge finishes. Seals and public keys stay
//! for ever, the chain verifies, and a verification says up to where events were purged. A deletion that no seal has announced is one that
//! is named.
