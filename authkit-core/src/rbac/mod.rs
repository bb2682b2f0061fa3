//! What somebody may do: permissions of roles, roles of roles, and the check. Pure: no port and no clock.

mod access;
mod graph;
mod permission_set;

pub use access::EffectiveAccess;
pub use graph::{GraphError, RoleGraph};
pub use permission_set::PermissionSet;

#[cfg(test)]
mod tests;
