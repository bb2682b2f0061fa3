//! Roles that a test gives, beside the server, as an operator does.

use std::collections::BTreeSet;

use authkit_core::model::{Assignment, ChangeSet, Role, RoleChange, UserChange};
use authkit_core::ports::Store;
use authkit_core::{Clock as _, Email, SystemClock};

/// Gives the account with an address these permissions, everywhere, by a role of their own, and no other.
pub(crate) async fn grant(store: &dyn Store, email: &str, permissions: &[&str]) {
    let email = Email::parse(email).expect("an address");
    // Whoever else gives roles at the same moment may have been faster.
    for _ in 0..20 {
        let user = store.credentials_by_email(&email).await.expect("reads").expect("the account is there").user;
        let stored = store.roles(None).await.expect("reads").expect("all roles");
        let wanted: BTreeSet<_> = permissions.iter().map(|text| text.parse().expect("a permission")).collect();
        let held = stored.roles.iter().find(|role| role.permissions == wanted && role.inherits.is_empty());
        let mut changes = ChangeSet::new();
        let mut version = stored.version;
        let name = if let Some(role) = held {
            role.name.clone()
        } else {
            let name: authkit_core::RoleName = format!("test-{version}").parse().expect("a name");
            let role = Role {
                name: name.clone(),
                permissions: wanted,
                built_in: false,
                ..Role::built_in().into_iter().next().expect("there is one")
            };
            changes = changes.and(RoleChange::Insert { role: Box::new(role), from: version });
            version += 1;
            name
        };
        let at = SystemClock.now();
        let assignment = Assignment { role: name, scope: None, expires_at: None, assigned_by: None, assigned_at: at };
        let to = if permissions.is_empty() { Vec::new() } else { vec![assignment] };
        let replace = UserChange::ReplaceAssignments { id: user.id, from: user.access.version, to, roles_version: version, at };
        if store.commit(&changes.and(replace)).await.is_ok() {
            return;
        }
    }
    panic!("{} cannot be given a role", email.normal());
}
