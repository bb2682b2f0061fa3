//! Links that are mailed, and the outbox that they leave by.
//!
//! # A link is good once
//! Its text is `ak_ot_`, the id of a row and 256 random bits; the row keeps a SHA-256 of purpose, id and secret. A link of one purpose
//! is another token for every other, so that none can be redeemed where it does not belong. Whoever redeems one deletes its row, and of
//! any number who try at once one succeeds, on however many nodes.
//!
//! | link | good for | void after |
//! |---|---|---|
//! | proves an address | 24 hours (SP 800-63B-4 §4.2.1.2) | a change of the address |
//! | sets a new password | 30 minutes | a change of password or address, a suspension |
//! | logs in | 10 minutes (ASVS 6.5.5) | a change of password or address, a suspension |
//!
//! # Who has an account is not told
//! Whoever asks for a link is answered before anything is looked up: what is committed is the request itself, sealed, and the audit
//! event of it. A worker looks the address up afterwards. So the answer, and the time that it takes, cannot depend on what it finds; a
//! mail server that is slow or away keeps nobody waiting either.
//!
//! # What was there before the owner
//! Anybody can register with an address that is not hers. The password and the sessions of such an account are void when the owner comes
//! by a link that sets a password or logs in: both end every session, and the second deletes a password that was set before the address
//! was proved. A link that only proves the address leaves them alone, because it was asked for by the registration itself.
//!
//! # The outbox
//! A message is committed with its cause, its content sealed with its id as associated data. Every node has a worker: it takes what is due
//! under a lease of two minutes (`FOR UPDATE SKIP LOCKED` on PostgreSQL), sends it, and forgets what it said. What fails comes back after
//! 15 seconds, then twice as long each time up to four hours, drawn between a half and the whole; after twelve attempts, or at once where
//! the receiver refused it for good, it is given up and can be tried again by hand. What is no longer true is dropped, not sent late.
//!
//! A worker that dies between the sending and its commit has the message sent again, with the same `Message-ID`.
//!
//! # What the owner of an account is told
//! A notice is committed in the change set of what it tells: a password that was changed or set anew, a refresh token that came back, a
//! factor that was added, removed or reset, a recovery code that was used (ASVS 6.3.7). It says when and from where, and holds no link
//! that does anything. Nothing that a sender of requests chose is quoted: of a `User-Agent` header it says what a closed vocabulary has a
//! word for ([`DeviceKind`](crate::primitives::DeviceKind)), and a name stands only in mail to an address that was proved, so that
//! nobody has strangers addressed with words of her own.
