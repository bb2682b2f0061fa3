//! Power over the accounts of others: who has it, over whom, and what it leaves behind.
//!
//! # Who may
//! [`AuthKit::administration`](crate::AuthKit::administration) takes a [`Principal`](crate::Principal) or the operator. A user needs the
//! permission of what she does (`users:read`, `users:write`, `users:impersonate`, `sessions:read`, `sessions:write`), and the store is
//! asked for it at each request: a token that says so is not enough, so that who was demoted or logged out a moment ago is refused on
//! every node. The set that is committed is guarded by the version of her roles, so that there is no moment in between.
//!
//! # Over whom
//! Nobody has power over somebody who may more. Whoever holds `users:write` and not `*` can neither suspend an administrator who holds
//! everything, nor move that one's address to a mailbox of her own, which would be the same as becoming her. What is tried is audited as
//! a failure with its reason. Nor does anybody administer her own account: what is hers she changes at `/users/me`, with the proofs of
//! identity that are asked for there.
//!
//! The last holder of every permission can be neither suspended nor closed. Rivals who would suspend each other wait for each other at
//! one row, so that one of them finds herself the last.
//!
//! # Without overwriting one another
//! Each account has a [`version`](crate::model::User::version) that every change of it raises, and every change of an administrator is
//! guarded by the version that she has read. Whoever passes what she has read before ([`Expected`](crate::flows::Expected), `If-Match`
//! over HTTP) is told that it changed since; whoever does not gets her change decided anew on what is there, as often as it takes.
//! `If-Match` is optional, because a script that suspends an account means it whatever its name is.
//!
//! # What ends
//! | what is done | sessions | logins under way | password |
//! |---|---|---|---|
//! | name, language changed | stay | go on | stays |
//! | address changed | end | fail (`auth_epoch`) | stays; the new address is not verified |
//! | suspended | end | fail | stays |
//! | restored | none | go on | stays |
//! | closed | end | fail | is gone, with everything personal |
//!
//! A session that ends is refused by the node that ended it at once, and by the others within a second ([`revocation`](super::revocation)).
//! Whoever changes the address of an account may hand it to somebody else, so everything that was begun before is over; the audit log
//! keeps both addresses.
//!
//! # An account without a password
//! An administrator never chooses or sees a password (ASVS 6.4.6). What she makes has none: nobody can log in until its owner has
//! chosen one.
//!
//! # Finding accounts
//! A search is for beginnings: every word of it begins the address, a word of the part before the `@`, a word of the name, or, written
//! with the `@`, the domain ([`UserQuery`](crate::model::UserQuery)). Case, accents and full-width forms make no difference, and no
//! character is a wildcard. What an account is found by is written with it, in the same statement, so that no index has to be rebuilt and
//! no extension of the database installed: a search walks one B-tree from where the last page ended, and looks at a thousand entries at
//! most. A page of a narrow search in a broad one (all suspended accounts whose name begins with `a`) may therefore be short, or empty,
//! and name a next one. Where one of several words is nobody's, nothing is walked: that is looked at first.
//!
//! Accounts that a version before 0008 of the schema wrote are indexed by the maintenance of the nodes, some thousand a minute and node;
//! until then they are in every list and in no search.
//!
//! # Acting as somebody else
//! [`Accounts::impersonate`](crate::Accounts::impersonate) begins a session of the other one in which the administrator acts: its access
//! token names both, `sub` the one and `act` the other (RFC 8693 §4.1). It needs `users:impersonate`, every permission that the other one
//! holds, a recent proof of identity, and a reason, which is audited. Then:
//!
//! - it ends after 15 minutes (a setting, at most an hour), and nothing renews it;
//! - it ends before that where what it needs ends by itself, as an assignment of the administrator with an end does;
//! - it ends when the administrator comes to hold less, or the other one more, whatever path that goes
//!   ([`access_control`](super::access_control));
//! - it ends with the session in which it was asked for, on every node, because every node knows which sessions ended;
//! - it is among the sessions of the other one, marked, and can be ended there; it takes nobody's place under the cap;
//! - it ends when the other one changes her password, is suspended or closed, as every session of hers does;
//! - what is done in it is audited with the administrator as the actor and the other one as `on_behalf_of`;
//! - what only the owner may do is refused with `auth.impersonation_forbidden`: to change what she proves herself by, to prove herself
//!   again, to close or export the account, and everything an administrator does.
//!
//! A host that has things of its own which only the owner may do asks [`Principal::impersonator`](crate::Principal::impersonator).
