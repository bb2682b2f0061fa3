//! Guessing: how many wrong passwords are evaluated, and why nobody can be kept out by them.
//!
//! A limit by address says nothing to whoever has many. So wrong passwords are counted by what they are tried at, in the store: by
//! the address that was written, whether it has an account or not. The settings are those of
//! [`GuessingConfig`](crate::config::GuessingConfig).
//!
//! | wrong in a row | what happens to the next one |
//! |---|---|
//! | 0 to 4 | it is evaluated at once |
//! | 5, 6, 7, … | it has to wait 1 s, 2 s, 4 s, …, at most 15 minutes after the last; until then it is refused, the right one as well |
//! | 100 | none is evaluated any more from an unknown device (SP 800-63B-4 §3.2.2) |
//!
//! A refusal is the `Throttled` of a quota, with the time to wait. It costs one read, no hash and no write. A success forgets what came
//! before it, and its audit event says how much that was (`failures_before`).
//!
//! # How many at once
//! A failure is counted in the statement that writes its audit event, on the count that is there then: of any number of rivals none
//! is lost, on whatever node, and nothing is forgotten with a process or with a shared limiter. But guesses that are in flight have
//! read a count that does not know of each other. While none has to wait, an identifier has two places on a node, held until the
//! failure is counted; so on *n* nodes at most 4 + 2*n* are evaluated before the first delay. From then on a guess is *reserved* before it is
//! evaluated: counted in a write that is guarded by what was read, which one of all rivals gets through. One is evaluated for each
//! delay, and a process that dies in between has counted one too many, never one too few.
//!
//! What waits for a place or for the row are two requests for each node, so that a hot account holds up no connections of others.
//!
//! # Known devices
//! Every login and registration hands out a [`DeviceToken`](crate::DeviceToken). Whoever shows one of the account
//! ([`Login::device_token`](crate::Login)) is not counted with strangers and does not wait for them, so that no number of wrong
//! passwords keeps an owner out who logs in where she did before (ASVS 6.1.1; OWASP, Slow Down Online Guessing Attacks with
//! Device Cookies). Her success forgets the strangers' count as well, which opens the way again where it was closed. It has its own
//! class of hashes, so that it does not queue behind them either.
//!
//! A device token logs nobody in and is stored nowhere: it is a MAC over the account, its address, its epoch and the time. It is
//! void with another address, for another account, after [`device_lifetime`](crate::config::SessionConfig::device_lifetime), and after
//! the password was changed, when whoever changed it gets a fresh one. Each login makes one of its own; one that was stolen is worth ten
//! guesses, counted apart from the one that its owner has by then, and then its device is a stranger.
//!
//! The server sets it as the cookie `__Host-authkit_device` (`Secure`, `HttpOnly`, `SameSite=Lax`; `authkit_device` where the service is
//! reached by http, on one's own machine), and gives and takes it as the member `device_token` for clients that keep no cookies.
//!
//! # Who is logged in already
//! A renewed proof of identity and a change of password are counted by session: five at once, delays after that, and with the tenth the
//! session ends. A stolen access token is worth ten guesses and then nothing, and logins are not concerned.
//!
//! # Closed
//! At a hundred the way of passwords is closed to unknown devices until the owner logs in on a known one, or by a way that needs no
//! password, or sets a new one by a mailed link, or somebody forgets the count: an operator ([`unlock`](crate::Accounts::unlock),
//! `authkit-server users unlock`), or an administrator who holds `users:write` and every permission that the account holds
//! ([`Administration::unlock`](crate::Administration::unlock), `POST /api/v1/admin/users/{id}/unlock`). Time alone does not open
//! it: whoever waits would get his next hundred. Lower counts are forgotten 30 days after the last wrong password
//! ([`wrong_guesses`](crate::config::RetentionConfig::wrong_guesses)), so that addresses that somebody made up take no room for ever.
//!
//! # Clocks
//! A wait is measured from the instant that the last guess was dated with. Where another node's clock is ahead it is longer by that, never
//! shorter. An instant that lies more than a minute ahead was dated by a clock that was wrong: one guess is let through, and dates the count
//! anew. Nobody is shut out until a clock is right.
//!
//! # What is told
//! Each longer delay is an event (`auth.guessing_delayed`), and so is the end (`auth.guessing_stopped`); what is refused in between is in no log,
//! because a stranger decides how much that is. [`RateLimitStats`](crate::flows::RateLimitStats) counts it for the metrics.
//!
//! # Who has an account
//! Guesses are worth more at addresses that have one. So what is asked for without a login does not tell: a login is answered the same
//! and costs the same hashes (see [`passwords`](super::passwords), *Time*), a link is written down before anything is looked up, and
//! counts are kept of addresses that have no account as well.
//!
//! A registration tells by default, because whoever registers is logged in at once. With
//! [`reveal_existing`](crate::config::RegistrationConfig::reveal_existing) turned off (`AUTHKIT_REVEAL_EXISTING=off`) it is taken by
//! [`request_registration`](crate::Accounts::request_registration): the password is judged and hashed, one change set is committed, and
//! nothing is looked up. The worker of the outbox makes the account and mails the link that proves the address, or tells the owner of the
//! one that there is that somebody tried, with where to ask for a new password. Neither mail holds a token that the other could tell by,
//! and one mailbox gets no more of both than of links (`links_per_recipient`).
//!
//! The password of such an account waits for the proof: until the link was opened, it is stored in a form that nothing verifies
//! against. A login with the password that was just chosen would otherwise tell at once whether the address had been free. A reset by
//! mail proves the address as well, and replaces it.
//!
//! Where [`open`](crate::config::RegistrationConfig::open) is off (`AUTHKIT_REGISTRATION=closed`) nobody makes an account by herself, on
//! whatever way; registrations that wait in the outbox are dropped.
