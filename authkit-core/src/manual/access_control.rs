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
//! Whoever may not is answered 403 with [`Forbidden`](crate::flows::Forbidden), whose
//! [`challenge`](crate::flows::Forbidden::challenge) says which permission would do (RFC 6750 §3.1). The examples `embed_axum` and
//! `embed_poem` have it as a guard in front of a route: `require("invoice:write", …)`.
//!
//! # How a change reaches a token that was issued before
//! The access token carries the names of the roles (`roles`, RFC 9068 §2.2.3.1), what a name cannot say (`ak_acs`: scopes and ends), and
//! the version of its user's access (`ak_acv`); not the permissions, so that a role can change without anybody's token. Every node holds
//! all roles in memory, and the accounts whose assignments changed within the lifetime of an access token. Of what the token and the node
//! say, the higher version counts, for more and for less. A node reads both twice a second, in one query that finds nothing most of the
//! time, and at once when the bus says so (in this process, and over Redis); the message says only *look*, so that nobody who can publish
//! one can give anybody anything. Looks are bundled, so that a flood of them costs the store some fifty small reads a second and node.
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
//! - Keep acting as somebody else after she was demoted. Whatever takes something from her (her role is taken, gets an end, gives or
//!   inherits less) ends the sessions in which she acts as others, in the same set of changes, and whatever gives something to somebody
//!   ends those in which others act as her. A session that is begun at the same moment either is found or comes too late, because it
//!   is guarded by the version of all roles and by the access of both. Where the power to act ends by itself, so does the session.
//!
//! # Shown before it is done
//! Every change can be decided without being made ([`Run::Dry`](crate::flows::Run), `?dry_run=true` over HTTP, `--dry-run` at the command
//! line): it is refused as it would be, and otherwise says which roles and which accounts would gain and lose what, two hundred accounts at
//! most. Each role has an `ETag` of its own, and of two who change what they have read one is told (412); one that was deleted and made
//! again under the same name is another one.
//!
//! # Why a scope stands in the address of a DELETE
//! `DELETE /admin/users/{id}/roles/{role}` takes the scope as a parameter of the address, or in a body. What stands between may drop the
//! body of a DELETE (RFC 9110 §9.3.5), and then the role would be taken that counts everywhere; so where both say a scope they have to
//! agree, and the parameter is what to use.
//!
//! # Bounds
//! 1,000 roles, 1,000 permissions in one and 50,000 in all, 64 inherited by one; 64 assignments of one account, and no more than fit in
//! 4 KiB of its token. Over HTTP a body is 64 KiB at most, which a role of very many long permissions can exceed.
