//! The ports' implementations that need no service: what a single process runs on, and the reference of every contract.
