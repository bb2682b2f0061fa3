//! The promises of the token module, by subject.

mod access;
mod forgeries;
mod fuzz;
mod keyring;
mod keys;
mod refresh;
mod revoked;
mod support;
mod vectors;
mod verified;
