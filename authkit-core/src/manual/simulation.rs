//! Simulation: many nodes over one store, in an order that follows from a seed, while everything goes wrong that can.
//!
//! Tests of single flows show what happens in the order that somebody thought of. `tests/simulation/` draws the order: several
//! nodes, each an [`AuthKit`](crate::AuthKit) of its own with its own keys in memory, its own set of revoked sessions and its own
//! clock, over one [`MemoryStore`](crate::embedded::MemoryStore), on one thread. Every port call of every flow is a place where
//! it stops twice, before the call and before the reply, and a scheduler decides which flow goes on, and what goes wrong.
//!
//! # What goes wrong
//! - A request is lost before anything is done, or a reply after everything is; the store, the bus or the custody is away for a while.
//! - A client asks twice, at two nodes; repeats an older token because it missed a reply; hangs up in the middle. A thief copies
//!   what a device holds.
//! - A node dies with everything in flight, and starts with an empty memory.
//! - Messages of the bus come late, twice, in another order, or never, with and without word of the gap; the bus does not answer.
//! - Clocks differ by as much as the leeway allows and jump; time leaps to just before and after the end of a token. In a mode of
//!   its own clocks are off by hours, and only what does not follow from time is checked.
//! - Transactions take longer than any is given. Passwords, keys and sessions are replaced, expire and are forgotten all the while,
//!   and every other node has a higher cost of hashes.
//!
//! # What is checked
//! After every step that wrote, the store is compared with a ledger of what it has acknowledged: accounts, addresses, passwords,
//! epochs, sessions, generations and secrets, and the last audit events; at the end of a run all of the audit log, the revocations and the keys.
//! So no acknowledged write is missing and none appears by itself; an address has one account, an account its credential, a
//! change its event and an event its change. When a change set lands: a rotation moved on from the current secret, to one that
//! never was; a session began with the password of the moment; the cap holds; what ended is what the commit says. When a client
//! is answered: the answer is the one that is due to what was committed, one token has one successor, nothing fails without a
//! fault. Access tokens are presented to the nodes all the time: the node that ended a session refuses them at once, each other
//! one from the message or the poll on, and a valid one is accepted everywhere.
//!
//! When the steps are over the faults stop, and everybody goes on where she was.
//!
//! # What is not
//! The stores of other crates (they have the contract of [your own store](super::your_own_store)), HTTP, several threads, the
//! fairness and the queue of the hashing pool, signatures other than HS256, and the timer of the background task, whose turns
//! are steps of the schedule here. A green run is no proof: it is that many schedules in which nothing was found.
//!
//! # Replay
//! One seed is one history, bit for bit; a test compares digests. A violation is printed with the last events and with the command
//! that repeats it:
//!
//! ```text
//! AUTHKIT_SIM_SEED=7 AUTHKIT_SIM_STEPS=600 cargo test -p authkit-core --test simulation replay -- --ignored --nocapture
//! ```
//!
//! `AUTHKIT_SIM_TAIL=5000` shows more of it, `AUTHKIT_SIM_WILD=1` is the mode of clocks that are off by hours. For more seeds than
//! the normal test run has, and for the figure in steps a second:
//!
//! ```text
//! cargo test --release -p authkit-core --test simulation a_million_steps -- --ignored --nocapture
//! AUTHKIT_SIM_FIRST=5000 AUTHKIT_SIM_SEEDS=2000 AUTHKIT_SIM_STEPS=2000 cargo test --release … (as above)
//! ```
//!
//! # How it is known to find anything
//! Stores and nodes are wrong on purpose: a guard dropped, a check before the write instead of in it, half a commit, a reply
//! before the commit, a lost revocation, a gap that is ignored. For each the test says in which seed it was found. And a run that
//! sees nothing finds nothing, so the test lists what has to have happened: a retry within the grace, a reuse, a login that was
//! overtaken, a key that was deleted, a publication that was given up.
//!
//! # The seams
//! Time and randomness are ports anyway. With the feature `testkit` a node is built without its background task, and its turns
//! are called. Hashing and the making of keys stay on their threads; the scheduler waits for them, so that it makes no difference
//! how long they take.
