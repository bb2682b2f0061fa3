//! A set of permissions that is asked on every request.

use std::collections::{BTreeSet, HashSet};

use crate::primitives::Permission;

/// A set of permissions, wildcards among them, in a form that answers at once: a look or two into a hash table, whatever its
/// size, and no allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PermissionSet {
    everything: bool,
    exact: HashSet<Box<str>>,
    /// The resources whose every action is in the set.
    resources: HashSet<Box<str>>,
}

impl PermissionSet {
    /// Whether the set holds what `needed` names: `resource:action`, `resource:*` or `*`. Whatever else it says is held by a set of
    /// everything alone.
    #[must_use]
    pub fn holds(&self, needed: &str) -> bool {
        if self.everything {
            return true;
        }
        if self.exact.contains(needed) {
            return true;
        }
        !self.resources.is_empty() && needed.split_once(':').is_some_and(|(resource, _)| self.resources.contains(resource))
    }

    /// Whether the set holds all of the other one.
    #[must_use]
    pub fn holds_all(&self, other: &Self) -> bool {
        if self.everything {
            return true;
        }
        !other.everything
            && other.resources.iter().all(|resource| self.resources.contains(resource))
            && other.exact.iter().all(|needed| self.holds(needed))
    }

    /// Whether the set holds everything.
    #[must_use]
    pub const fn holds_everything(&self) -> bool {
        self.everything
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.everything && self.exact.is_empty() && self.resources.is_empty()
    }

    /// Adds a permission.
    pub fn insert(&mut self, permission: &Permission) {
        if permission.is_everything() {
            self.everything = true;
        } else if let Some(resource) = permission.every_action_of() {
            self.resources.insert(resource.into());
        } else {
            self.exact.insert(permission.as_str().into());
        }
    }

    /// Adds what the other one holds.
    pub fn add_all(&mut self, other: &Self) {
        self.everything |= other.everything;
        self.exact.extend(other.exact.iter().cloned());
        self.resources.extend(other.resources.iter().cloned());
    }

    /// The permissions, in the order of their texts, without those that another one of them covers.
    #[must_use]
    pub fn to_permissions(&self) -> BTreeSet<Permission> {
        if self.everything {
            return [Permission::everything()].into();
        }
        let every = self.resources.iter().map(|resource| format!("{resource}:*"));
        let covered = |text: &str| text.split_once(':').is_some_and(|(resource, _)| self.resources.contains(resource));
        let exact = self.exact.iter().filter(|text| !covered(text)).map(ToString::to_string);
        // What went in as a permission comes out as one.
        every.chain(exact).filter_map(|text| text.parse().ok()).collect()
    }
}

impl<'p> FromIterator<&'p Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = &'p Permission>>(permissions: I) -> Self {
        let mut set = Self::default();
        for permission in permissions {
            set.insert(permission);
        }
        set
    }
}
