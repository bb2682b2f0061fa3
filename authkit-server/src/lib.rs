//! AuthKit as a user management service: what the binary is made of.

pub mod banner;
pub mod cli;
pub mod data_dir;
pub mod settings;
