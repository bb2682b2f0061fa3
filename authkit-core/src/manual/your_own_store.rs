//! A store of your own: what it has to promise, and how to show that it does.
//!
//! Implement [`Store`](crate::ports::Store) and its four read traits. A backend is a set of plain reads and one `match` over
//! [`Change`](crate::model::Change); the docs of each variant name its guard and the conflict that it fails with.
//!
//! Then let the contract judge it, in a test of your crate:
//!
//! ```ignore
//! authkit_core::store_contract!(fresh_store);
//! ```
//!
//! It makes one test per promise: each read, each guard, atomicity, races of many tasks, and a property test that drives your
//! store and [`MemoryStore`](crate::embedded::MemoryStore) with the same random operations and compares them. A green
//! contract proves nothing by itself, so the stores of this project are also mutated (a guard dropped, check-then-write instead
//! of compare-and-set, a change outside the transaction), and each mutant has to turn it red. `examples/custom_store/` is a
//! complete store on a single file.
