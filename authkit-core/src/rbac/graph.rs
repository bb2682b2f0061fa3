//! All roles, and what each gives with what it inherits.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::{Role, StoredRoles};
use crate::primitives::RoleName;
use crate::rbac::permission_set::PermissionSet;

/// Why roles make no graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A role would inherit itself, by way of others it may be.
    #[error("the role `{0}` would inherit itself")]
    Cycle(RoleName),
    /// A role inherits one that is not there.
    #[error("there is no role `{0}` to inherit")]
    Unknown(RoleName),
}

#[derive(Debug, Clone)]
struct Node {
    role: Arc<Role>,
    /// Its own permissions and those that it inherits.
    gives: Arc<PermissionSet>,
}

/// Every role of a store at one version, with what each of them gives worked out.
#[derive(Debug, Clone, Default)]
pub struct RoleGraph {
    version: Option<u32>,
    nodes: HashMap<RoleName, Node>,
}

impl RoleGraph {
    /// The graph of the roles that were read. Roles that inherit in a circle, or what is not there, which a store never holds, give
    /// what is theirs and what is found: never more than their parts say.
    #[must_use]
    pub fn of(stored: &StoredRoles) -> Self {
        let roles: HashMap<&RoleName, &Role> = stored.roles.iter().map(|role| (&role.name, role)).collect();
        let mut done: HashMap<RoleName, Arc<PermissionSet>> = HashMap::with_capacity(roles.len());
        for role in &stored.roles {
            gives(&role.name, &roles, &mut done);
        }
        let node = |role: &Role| {
            let gives = done.get(&role.name).cloned().unwrap_or_default();
            (role.name.clone(), Node { role: Arc::new(role.clone()), gives })
        };
        Self { version: Some(stored.version), nodes: stored.roles.iter().map(node).collect() }
    }

    /// The version of the roles; `None` while none were read.
    #[must_use]
    pub const fn version(&self) -> Option<u32> {
        self.version
    }

    /// The role with a name.
    #[must_use]
    pub fn role(&self, name: &RoleName) -> Option<&Role> {
        self.nodes.get(name).map(|node| &*node.role)
    }

    /// What a role gives: its own permissions and those that it inherits.
    #[must_use]
    pub fn gives(&self, name: &RoleName) -> Option<&Arc<PermissionSet>> {
        self.nodes.get(name).map(|node| &node.gives)
    }

    /// Whether a role demands a second factor, by itself or by what it inherits.
    #[must_use]
    pub fn demands_second_factor(&self, name: &RoleName) -> bool {
        let (mut ahead, mut seen) = (vec![name], BTreeSet::new());
        while let Some(role) = ahead.pop().and_then(|name| self.role(name)) {
            if role.mfa_required {
                return true;
            }
            ahead.extend(role.inherits.iter().filter(|inherited| seen.insert(*inherited)));
        }
        false
    }

    /// Every role, in no particular order.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.nodes.values().map(|node| &*node.role)
    }

    /// The roles that inherit this one directly, in the order of their names.
    #[must_use]
    pub fn heirs(&self, name: &RoleName) -> BTreeSet<&RoleName> {
        self.roles().filter(|role| role.inherits.contains(name)).map(|role| &role.name).collect()
    }

    /// The names of the roles that give what `needed` names, in their order.
    #[must_use]
    pub fn giving(&self, needed: &str) -> BTreeSet<&RoleName> {
        self.nodes.iter().filter(|(_, node)| node.gives.holds(needed)).map(|(name, _)| name).collect()
    }

    /// The graph without a role. What inherited it gives what is left.
    #[must_use]
    pub fn without(&self, name: &RoleName) -> Self {
        let roles: Vec<Role> = self.roles().filter(|role| role.name != *name).cloned().collect();
        Self::of(&StoredRoles { version: self.version.unwrap_or_default(), roles })
    }

    /// The graph with a role added, or put in the place of the one of its name.
    ///
    /// # Errors
    /// When it would inherit what is not there, or itself.
    pub fn with(&self, role: Role) -> Result<Self, GraphError> {
        if let Some(unknown) = role.inherits.iter().find(|name| **name != role.name && !self.nodes.contains_key(name)) {
            return Err(GraphError::Unknown(unknown.clone()));
        }
        let name = role.name.clone();
        let mut roles: Vec<Role> = self.roles().filter(|other| other.name != name).cloned().collect();
        roles.push(role);
        if inherits_itself(&name, &roles) {
            return Err(GraphError::Cycle(name));
        }
        Ok(Self::of(&StoredRoles { version: self.version.unwrap_or_default(), roles }))
    }
}

/// Whether a way along inherited roles leads back to where it began. It goes without recursion, so that a long way is no deep stack.
fn inherits_itself(name: &RoleName, roles: &[Role]) -> bool {
    let roles: HashMap<&RoleName, &Role> = roles.iter().map(|role| (&role.name, role)).collect();
    let (mut ahead, mut seen) = (vec![name], BTreeSet::new());
    while let Some(at) = ahead.pop() {
        for next in roles.get(at).into_iter().flat_map(|role| &role.inherits) {
            if next == name {
                return true;
            }
            if seen.insert(next) {
                ahead.push(next);
            }
        }
    }
    false
}

/// Works out what a role gives, and everything that it inherits before it. Without recursion: a thousand roles in a row are allowed.
fn gives(name: &RoleName, roles: &HashMap<&RoleName, &Role>, done: &mut HashMap<RoleName, Arc<PermissionSet>>) {
    let (mut path, mut begun) = (vec![name], BTreeSet::new());
    while let Some(&at) = path.last() {
        let Some(role) = roles.get(at).filter(|_| !done.contains_key(at)) else {
            path.pop();
            continue;
        };
        if begun.insert(at) {
            let missing = role.inherits.iter().filter(|next| !done.contains_key(next) && !begun.contains(next));
            path.extend(missing);
        } else {
            let mut set: PermissionSet = role.permissions.iter().collect();
            for inherited in role.inherits.iter().filter_map(|next| done.get(next)) {
                set.add_all(inherited);
            }
            done.insert(at.clone(), Arc::new(set));
            path.pop();
        }
    }
}
