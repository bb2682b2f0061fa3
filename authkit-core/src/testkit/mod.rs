//! For the tests of stores and hosts: the store contract, a frozen clock, seeded entropy.
