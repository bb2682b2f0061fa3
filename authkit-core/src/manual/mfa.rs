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
