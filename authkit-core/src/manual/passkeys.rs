//! Passkeys: a first factor that nobody can be talked out of, and a second one behind a password.
//!
//! A passkey is a key pair in somebody's authenticator: a phone, a laptop, a security key. The service keeps the public half and asks for
//! a signature; the browser lets it sign for the domain that it was made for and for no other, so that there is nothing to phish. It is
//! turned on with the feature `passkeys`; [`AuthKit::passkeys`](crate::AuthKit::passkeys) has the use cases.
//!
//! **Two halves.** Each ceremony hands out options first, which the browser turns into what `navigator.credentials` takes, and judges what
//! comes back: making a passkey, logging in by one alone, proving one behind another first factor, proving again who one is. The JSON of
//! both directions is that of WebAuthn Level 3 and is passed on as it is.
//!
//! **What it is bound to** comes from [`PasskeyConfig`](crate::config::PasskeyConfig) and from nowhere else. By default the RP ID is the
//! host of the issuer and the only origin the issuer's own. Origins are compared as text, with neither subdomains nor other ports; what comes
//! out of a frame of another site is refused. A service with an address and no name has no passkeys, because browsers make none
//! for it; a loopback address goes by the name `localhost`.
//!
//! **A challenge is good once, for five minutes, for one thing.** It is 48 bytes, 32 of them random. What is stored is a digest of it
//! *and of what it may be answered for*: the ceremony, the account and the session or login in which it was asked for. So a challenge that
//! was given out to add a passkey, or in another session, or behind another login, hashes to something that was never stored; and a guard
//! in the commit that begins the session takes the row away, so that of any number of replies sent at once one counts.
//! Nothing is trusted to the client, and no state is kept in memory.
//!
//! **It is two factors.** User verification is asked for and insisted on, so that a passkey alone is
//! [`Aal2`](crate::flows::Aal2) (SP 800-63B-4 §3.1.7): `acr` is `aal2` and `amr` is `pop`, `mfa` (RFC 8176; whether hardware holds
//! the key nobody vouches for, because no attestation is asked for, so it does not say `hwk`). For the same reason the first passkey of an
//! account turns a second factor on: **a password alone logs in no more**. It would be a door for whoever phishes the password beside the
//! one that was just locked. With it come ten recovery codes, unless there are some already.
//!
//! **Nobody is named.** A login by a passkey asks for no address, so nothing can be learned about one. The passkey says whose it is, by a
//! handle that is a digest of the account's id: it tells neither address nor age. Passkeys have to be discoverable for that, which is
//! insisted on when they are made.
//!
//! **The counter** of an authenticator that has one only grows, and is moved by compare-and-set from the value that the signature was judged
//! by. One that goes back, with a right signature over a challenge that waits for it, is refused and recorded as
//! `passkey.clone_suspected`. The same reply sent twice is not: its challenge is used up. Synced passkeys do not count and stay at 0.
//! Whether a passkey is backed up is kept up to date; whether it can be never changes, and a reply that says otherwise is refused.
//!
//! **Adding and removing** take a proof of the last minutes, by a second factor where one is on, and are announced to the owner. Whoever acts
//! as somebody else can do neither. The last passkey of an account without a password stays. An administrator's reset of second factors
//! takes passkeys as well. Those that were made before the owner had proved her address go when she comes by a mailed link, with the
//! password and the sessions of that time.
//!
//! **What is not judged.** Attestation is not asked for: which make an authenticator is of (`aaguid`) is what it says of itself. Only `none` and
//! `packed` are read; the parsers of the other kinds are not for strangers to try. ES256, RS256 and ES384 are offered; a key
//! for RS256 has 2048 bits.
//!
//! For tests there is an authenticator in software, which can do everything wrong that one can: `testkit::SoftAuthenticator`.
