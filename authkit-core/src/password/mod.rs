//! Passwords: what one must be, how it is hashed, and the pool that hashes without hurting anything else.
