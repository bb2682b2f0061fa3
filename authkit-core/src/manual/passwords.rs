//! Passwords: which hashes of other systems are taken, how they become ours, peppers, and lists of known passwords.
//!
//! How hashing is kept from stopping everything else is told in [`password`](crate::password).
//!
//! # Hashes of other systems
//!
//! They are imported as they are, verified at the next login, and replaced there by argon2id with the parameters of the day.
//! A hash that is refused is refused at import, with the reason, and never computed.
//!
//! | format | written as | limits |
//! |---|---|---|
//! | argon2id, argon2i, argon2d | PHC `$argon2id$v=19$m=…,t=…,p=…$salt$hash`; Django `argon2$argon2id$…` | `hashing.max_memory_kib` (256 MiB), 10 passes, 8 lanes |
//! | bcrypt | `$2a$`, `$2b$`, `$2y$`; Django `bcrypt$$2b$…` | cost 4 to 15 |
//! | scrypt | PHC `$scrypt$ln=…,r=…,p=…$…`; Django `scrypt$N$salt$r$p$…` | memory as for argon2; 512 MiB written in all; p ≤ 16 |
//! | Firebase scrypt | `$firebase-scrypt$ln=MEM_COST,r=ROUNDS,k=NAME$SALT$SEPARATOR$HASH`, base64 as Firebase exports it | as for scrypt |
//! | PBKDF2 (SHA-1, SHA-256, SHA-512) | PHC `$pbkdf2-sha256$i=…$…`; passlib `$pbkdf2-sha256$29000$…`; Django `pbkdf2_sha256$…`, `pbkdf2_sha1$…`; ASP.NET Core Identity v2 and v3 (base64) | 5,000,000 iterations |
//! | SHA-crypt | `$5$`, `$6$`, with or without `rounds=` | 1,000,000 rounds |
//! | LDAP salted SHA | `{SSHA}`, `{SSHA256}`, `{SSHA512}` | a salt of at most 128 bytes |
//!
//! Not taken: MD5-crypt, phpass and yescrypt (no maintained library computes them), `$2x$` and `$2$` of bcrypt (faulty versions), digests
//! without salt, and passwords in plain text.
//!
//! **bcrypt and 72 bytes.** bcrypt ignores what is behind the 72nd byte. For an imported hash that rule is kept, because the
//! password was set under it: of a longer one, any with the same 72 bytes logs in, once. The hash that replaces it counts every byte of
//! what was typed then.
//!
//! **Unicode.** A password is composed (NFC) before it is hashed. A system that hashed another composition of the same letters made
//! hashes that do not match; its users reset their passwords.
//!
//! **Cost.** A foreign hash weighs in the queue what it costs. What takes memory of its own (scrypt), or more time than 24 new hashes (a third of a second),
//! runs one at a time, so that the memory of hashing stays bounded and one thread is never all of them.
//!
//! **Time.** An unknown address costs a hash with the parameters of the day, and so does a wrong password: beside a hash of another
//! system, one of ours is computed too before the failure is answered. So no account answers sooner than an address that has none,
//! however cheap its hash is. Where the other system's takes longer than ours (bcrypt of cost 12: 234 ms against 13), an account that
//! has not logged in since the import would still answer later. For as long as there are many,
//! [`imitated_hash`](crate::config::PasswordConfig::imitated_hash) (`AUTHKIT_IMITATED_HASH`) names their format, e.g. `bcrypt,12`,
//! `scrypt,14,8,1`, `pbkdf2,sha256,260000,32` or `sha-crypt,6,5000`: every failed login then costs one of each, whether there is an
//! account, whosever hash it has, and whether it was wrapped. A login that succeeds costs what it did. Take the setting away when
//! `users wrap-hashes --dry-run` finds few; what differs from the format that is named (another cost, another system) stays to be told
//! apart by its time. `benches/enumeration` measures all of it.
//!
//! # Import
//!
//! [`Accounts::import`](crate::Accounts::import), or `authkit-server users import FILE` over it. Each batch is one change set, with one audit
//! event (`account.imported`) for each account in it, and one for each role that it brings. Nothing that is there is overwritten, so that an import is simply repeated after
//! whatever stopped it; the command line also remembers how far it came. There is no option to hash passwords in plain text: a
//! file of them should not exist.
//!
//! # Wrapping: hashing the hash
//!
//! Users who never come back would keep weak hashes for ever. [`Accounts::wrap_hashes`](crate::Accounts::wrap_hashes), or
//! `authkit-server users wrap-hashes`, replaces each foreign hash by argon2id *of the digest*, under the guard that it is still
//! the one that was read: a login or a change in the same moment wins. The stored text is
//! `$authkit-wrap$RECIPE$argon2id$…`; the recipe keeps the inner algorithm, parameters and salt, and the inner digest is gone.
//! Verification computes inner, then outer; the next login unwraps it to plain argon2id. The job may be killed and
//! started again at any time. It takes places of the lowest class, so that nobody waits for it.
//!
//! # Pepper
//!
//! A pepper is a key that goes into every hash and is kept apart from the database (argon2's secret input, RFC 9106 §3.1). Its
//! name stands in the hash as `keyid`, so that none is tried in vain.
//!
//! - **To begin**, put one into [`PasswordConfig::peppers`](crate::config::PasswordConfig::peppers) (`AUTHKIT_PASSWORD_PEPPERS`). Hashes
//!   without one get it at the next login. All nodes must have it before one of them makes hashes with it: roll it out as
//!   `none,ID:KEY` first, and take the `none` away in a second rollout.
//! - **To rotate**, put the new one in front, with the same two steps (`OLD,NEW`, then `NEW,OLD`). Old hashes verify under the old one
//!   and are replaced at login.
//! - **To end**, put `none` in front. When no hash needs a pepper any more, `authkit-server keys forget-secret pepper-ID`
//!   says so, and it can be taken away.
//!
//! A pepper that is wrong or missing must not look like a wrong password. A check value of each is stored, sealed, when it is first
//! used; a node whose settings do not have it, or have another one under its name, does not start. A hash that names a pepper which is
//! not there answers 503, and no failure is recorded.
//!
//! The signer keys of Firebase projects (`AUTHKIT_FIREBASE_SIGNER_KEYS`) are kept and checked in the same way.
//!
//! # Passwords that are known
//!
//! A new password must not be one of the 30,000 most common ones, which zxcvbn has built in (MIT licence; from leaks, by
//! frequency), in any case, backwards, or with digits for letters; nor lean on the address, the name, or the service's name; nor be
//! guessable by the estimate.
//!
//! Beside that a [`BreachList`](crate::ports::BreachList) can be asked: [`FileBreachList`](crate::embedded::FileBreachList)
//! over the download of Have I Been Pwned, or a service over HTTPS (`AUTHKIT_BREACH_LIST`), which learns five of the forty digits of a
//! SHA-1 and pads its answers. It is asked before anything is hashed and outside of any transaction.
//!
//! **While it cannot be asked**, `AUTHKIT_BREACH_LIST_FAILURE` decides: `open` (default) judges by everything else and logs a warning, since
//! a list that is away should not stop registrations; `closed` answers 503. Either way the built-in list holds. An answer that is no list
//! (an error, a redirect, a page of a hotel's network, more than 1 MiB, later than 2 s) counts as none.
