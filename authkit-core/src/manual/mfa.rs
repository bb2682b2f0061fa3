//! Second factors: what is asked for behind a first factor, and why no way around it was found.
//!
//! **One door.** Every first factor ends in one function, which reads from the account itself which second factors are in force.
//! There is none: a session begins. There is one: nobody is logged in, and the client gets a token that is good for nothing but the
//! proof of a second factor, for ten minutes and ten attempts
//! ([`SecondFactorRequired`](crate::flows::SecondFactorRequired)). Which factors are in force changes only together with the
//! account's `auth_epoch`, on which a session's beginning is guarded: no login that was decided on the factors of before lands
//! behind the change, however close the race.
//!
//! **One row.** What the factors of an account are checked against (the sealed secret and its last time step, the digests of the
//! recovery codes, the wrong codes in a row) is one row with a version, and every use is a write that holds only if nobody has
//! written since it was read. So a time step and a recovery code are good once on all nodes together, and
//! a fresh set of recovery codes and the use of an old one cannot both win.
//!
//! **Guesses are counted before they are evaluated**, in that row: for the account, over all of its logins and on all nodes. Five are
//! answered at once, then one in 30 seconds, in a minute, and so on up to a quarter of an hour; after a hundred in a row no code of the
//! app is taken any more ([`MfaConfig`](crate::config::MfaConfig)). Recovery codes have 80 random bits and
//! are not counted: they are the owner's way in while somebody else guesses.
//!
//! **Downgrade.** While a second factor is in force, [`reauthenticate`](crate::Mfa::reauthenticate) wants one, and turning a
//! factor off or making new recovery codes wants such a proof of the last minutes. A stolen session and a stolen password together
//! do not take it off. To turn one on takes a recent proof too, so that a stolen session cannot lock its owner out.
//!
//! **Assurance.** [`Principal<Aal2>`](crate::flows::Aal2) is somebody who has proved two different factors: code that demands it does
//! not compile with less, and [`InsufficientAuthentication`](crate::flows::InsufficientAuthentication) says over HTTP what is
//! missing (RFC 9470). Tokens carry `amr` (RFC 8176) and `acr`.
//!
//! **Codes that are sent** have six digits, are good for ten minutes and five looks, and only for what they were asked with: the one
//! challenge of a login, or the one session. A new one voids the one before, one lives for each use (a login, a renewed proof, an
//! enrolment), and what is kept is a digest under a key that is sealed. A look is paid for in the row before it is taken, and counts
//! with those at the app's codes. At most one is sent in half a minute and five an hour for an account, five an hour to one telephone,
//! and there are quotas for each country and in all ([`LimitConfig`](crate::config::LimitConfig)), because somebody may earn by messages
//! to numbers of his. Whether one was sent the answer of a login does not tell.
//!
//! **By mail** a code is a hurdle and no second factor: the mailbox resets the password as well. It leaves the assurance at
//! [`Aal1`](crate::flows::Aal1), takes nothing stronger off and adds nothing beside it, and behind a login by a mailed link, which has shown
//! the mailbox already, it is not offered: a recovery code is, or another factor. **By text message** it counts, and has to be named in the
//! settings, because whoever has a number moved to another card gets it ([`MfaConfig`](crate::config::MfaConfig)).
//!
//! **Trusted devices.** [`verify_and_trust`](crate::Mfa::verify_and_trust) gives the device a token that stands in for the second factor at
//! a login, beside the password, for thirty days. The session that begins so is one of the first factor: what demands a second asks for
//! it. The trust ends when the password or a factor changes, when its owner takes it back, and with the eleventh device the first ends.
//!
//! **Demanded factors.** [`MfaPolicy`](crate::config::MfaPolicy), and each role by `mfa_required`, which whoever inherits it inherits too, say
//! of whom a second factor is demanded. Whoever has none gets, at her next login, a token that is good for nothing but to turn one on
//! ([`FactorDemand`](crate::flows::FactorDemand)), and the session begins with that. It enrols the first factor and never one beside it. The
//! last factor cannot be turned off then. Sessions that have begun before go on, and so does the one that a registration begins: the
//! demand is made at the next login.
//!
//! **Lost everything.** An administrator with `users:write` and every permission that the account holds turns all of it off: passkeys,
//! trusted devices and every session go with it, and the owner is told by mail.
