//! Who may do what.
//!
//! A **permission** is `resource:action`; `resource:*` is every action, `*` everything. A **role** has permissions and inherits those of
//! other roles; a circle is refused. An **assignment** gives somebody a role: everywhere or in one scope (`tenant:acme`), for good or
//! until an instant. What a role that is held in a scope gives counts there and nowhere else; what is held everywhere counts in every
//! scope. Every fresh store has `admin` (`*`) and `user` (nothing), which can be neither changed nor deleted.
//!
//! # The check
//! ```no_run
//! # fn handler(principal: &authkit_core::Principal) -> Result<(), authkit_core::flows::Forbidden> {
//! principal.require("invoice:write")?;
//! # Ok(()) }
//! ```
//! It looks into a hash table that was worked out when the token was verified: no I/O, no allocation, and the same price with fifty roles
//! and a thousand permissions. The end of an assignment is compared with the clock at each check, and only where there is one.
//!
//! # How a change reaches a token that was issued before
//! The access token carries the names of the roles (`roles`, RFC 9068 §2.2.3.1), what a name cannot say (`ak_acs`: scopes and ends), and
//! the version of its user's access (`ak_acv`); not the permissions, so that a role can change without anybody's token. Every node holds
//! all roles in memory, and the accounts whose assignments changed within the lifetime of an access token. Of what the token and the node
//! say, the higher version counts, for more and for less. A node reads both twice a second, in one query that finds nothing most of the
//! time, and at once when the bus says so; the message says only *look*, so that nobody who can publish one can give anybody anything.
//! A token from before there were roles means none. When more than 100,000 accounts change within a lifetime, tokens from before are
//! refused as expired and have to be refreshed: the memory is bounded, and nobody keeps what was taken from her.
//!
//! # Administration asks the store
//! What changes roles or accounts is not decided on a token: the session, the account and the version of all roles are read again, and
//! the commit holds the caller's access to what was read. So an administrator who was just demoted is refused on every node at once.
//!
//! # What nobody can do
//! - Hand on what she does not hold, there, and for as long: by an assignment, by a role, by what a role inherits, by changing a role that
//!   she has. Nor take from others what she does not hold. All roles stay as they were decided on until the change is committed.
//! - Take everything from the last one who holds it (active, everywhere, for good): by taking her role, by an end to it, by emptying the
//!   role, by closing her account. Rivals wait for one another at one row, and each looks after the one before is done.
//! - Make a circle by two changes that each look straight: every change of a role is guarded by the version of all of them.
//!
//! # Bounds
//! 1,000 roles, 1,000 permissions in one and 50,000 in all, 64 inherited by one; 64 assignments of one account, and no more than fit in
//! 4 KiB of its token.
