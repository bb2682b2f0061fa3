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
//! | moves the account to another address | 24 hours | a later request, a change of password or address |
//! | takes that back | 7 days | the account's return, an administrator's change of the address |
//! | sets the first password (invitation) | 3 days | a later invitation, a change of password or address |
//! | sets a new password, sent by an administrator | 24 hours | as the one above |
//!
//! A link that logs in can be bound to the browser that asked: the library keeps a digest of a secret that the browser has in a cookie.
//! Without that, somebody could mail a stranger a link to an account of her own and have her work in it (login CSRF).
//!
//! # A change of the address
//! It is asked for with a recent proof of identity, takes effect when the new address is proved, and is told to the old one both times.
//! One row names the address that was mailed and the account that moves there, so that no link proves an address that it was not sent to;
//! of several requests the last counts. Whether somebody else has the new address is found out when the link comes back, by the guard of
//! the change: asking says nothing.
//!
//! The second mail to the old address holds a link that takes the change back. It works for a week, however often address and password
//! have changed since, because whoever takes an account over does both: the account returns, its password is gone, every session and
//! every link ends, and a link that sets a new password is mailed. An account that was registered meanwhile with the address, and whose
//! owner has not proved it, gives way; otherwise a thief would keep an account by registering with the address that it has left. Second
//! factors stay: a mailbox alone opens no account that is kept by more. An old address that nobody had proved gets no such link, because
//! it may be a stranger's, and misspelt.
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
//! # Administrators
//! They make accounts without passwords and have invitations mailed, send them again, and have a link mailed that sets a new password.
//! None of them chooses or sees a password (ASVS 6.4.6). When one moves an account to another address, the address that it leaves is told,
//! and no link that was mailed before takes that back.
//!
//! # The outbox
//! A message is committed with its cause, its content sealed with its id as associated data. Every node has a worker: it takes what is due
//! under a lease of two minutes (`FOR UPDATE SKIP LOCKED` on PostgreSQL), sends it, and forgets what it said. What fails comes back after
//! 15 seconds, then twice as long each time up to four hours, drawn between a half and the whole; after twelve attempts, or at once where
//! the receiver refused it for good, it is given up and can be tried again by hand. What is no longer true is dropped, not sent late.
//!
//! Operators see what waits and what was given up (`GET /api/v1/admin/outbox`, `authkit-server outbox list`), have it tried again or
//! remove it; both is audited. What a message says, and to whom, they do not see. Counts of it are in the metrics and at `/health/ready`.
//!
//! A reply of a mail server that is about the settings, such as a wrong password, gives no mail up: it waits until they are mended.
//!
//! A worker that dies between the sending and its commit has the message sent again, with the same `Message-ID`.
//!
//! # What the owner of an account is told
//! A notice is committed in the change set of what it tells: a password that was changed or set anew, a refresh token that came back, a
//! factor that was added, removed or reset, a recovery code that was used (ASVS 6.3.7). It says when and from where, and holds no link
//! that does anything. Nothing that a sender of requests chose is quoted: of a `User-Agent` header it says what a closed vocabulary has a
//! word for ([`DeviceKind`](crate::primitives::DeviceKind)), and a name stands only in mail to an address that was proved, so that
//! nobody has strangers addressed with words of her own.
//!
//! # Words of your own
//! The server writes mails and pages from texts and frames that are built in, in English, German, French and Spanish: by the language
//! of the account, else by the `Accept-Language` of the request, else in English. `AUTHKIT_TEMPLATES_DIR` names a directory with files in
//! their place. What is not there stays, text by text, and what cannot be used stops the start with its file and line.
//!
//! | file | what it is |
//! |---|---|
//! | `de.toml`, `de-CH.toml`, `it.toml` … | texts of a language, as in the built-in ones in `authkit-server/src/mail/texts`: `[mails.verify_email]` with `subject`, `body`, `action` and `closing`, `[pages.…]`, `[errors]`, `[common]`, `[factors]`. A language that is not built in is one from then on; what it lacks is English, and what `de-CH` lacks is in `de` |
//! | `layout.txt`, `layout.html` | the frame of every mail |
//! | `verify_email.txt`, `verify_email.html` … | the frame of one mail |
//! | `page.html` | the frame of every page |
//!
//! All of them are Jinja templates (minijinja). A text is rendered as plain text and put into a frame as a value; a frame whose name ends
//! in `.html` escapes every value. So nothing that a user wrote is ever HTML, or a template, and a subject is always one line.
//!
//! | variable | what it is |
//! |---|---|
//! | `service` | the name of the sender (`AUTHKIT_MAIL_FROM`) |
//! | `language` | the language tag |
//! | `address` | the recipient |
//! | `full_name` | her name, or none |
//! | `link` | where the button leads, or none |
//! | `good_for` | how long the link is good, in words, or none |
//! | `factor` | which factor, in words, where the mail is about one |
//! | `left` | how many recovery codes are left, where the mail says so |
//! | `greeting`, `ignore`, `not_you`, `fallback`, `automatic` | the texts of `[common]` |
//! | `facts` | when, from where and on which device, a list of `name` and `value` (frames only) |
//! | `subject`, `body`, `paragraphs`, `action`, `closing` | the texts of the mail (frames only) |
//! | `title`, `question`, `message`, `problem`, `form`, `token`, `post_to`, `tokens` and the labels of `[pages]` | of a page (`page.html` only) |
