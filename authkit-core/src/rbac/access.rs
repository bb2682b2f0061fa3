//! What somebody may do, worked out once for many checks.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::Assignment;
use crate::primitives::{Permission, Scope, Timestamp};
use crate::rbac::graph::RoleGraph;
use crate::rbac::permission_set::PermissionSet;

/// What somebody holds in one place: for good, and until when.
#[derive(Debug, Clone, Default)]
struct Held {
    for_good: Arc<PermissionSet>,
    /// In the order of their ends, the latest first.
    until: Vec<(Timestamp, Arc<PermissionSet>)>,
}

impl Held {
    fn add(&mut self, gives: &Arc<PermissionSet>, end: Option<Timestamp>) {
        match end {
            // One role is what most have: its set is shared, not copied.
            None if self.for_good.is_empty() => self.for_good = Arc::clone(gives),
            None => Arc::make_mut(&mut self.for_good).add_all(gives),
            Some(end) => {
                self.until.push((end, Arc::clone(gives)));
                self.until.sort_by_key(|(end, _)| std::cmp::Reverse(*end));
            }
        }
    }

    fn holds(&self, needed: &str, at: impl Fn() -> Timestamp) -> bool {
        self.for_good.holds(needed) || (!self.until.is_empty() && self.holds_for_now(needed, at()))
    }

    fn holds_for_now(&self, needed: &str, at: Timestamp) -> bool {
        self.until.iter().take_while(|(end, _)| at < *end).any(|(_, set)| set.holds(needed))
    }

    /// Everything that is held until `end` at least; until there is no end, with `None`.
    fn lasting(&self, end: Option<Timestamp>) -> PermissionSet {
        let mut set = PermissionSet::clone(&self.for_good);
        if let Some(end) = end {
            for (_, until) in self.until.iter().take_while(|(held, _)| end <= *held) {
                set.add_all(until);
            }
        }
        set
    }

    fn at(&self, now: Timestamp) -> PermissionSet {
        let mut set = PermissionSet::clone(&self.for_good);
        for (_, until) in self.until.iter().take_while(|(end, _)| now < *end) {
            set.add_all(until);
        }
        set
    }
}

/// What the assignments of somebody give, by the roles of one version. A check of it is a look into a hash table: no I/O, no
/// allocation.
///
/// What is held in no scope counts in every one; what is held in a scope counts there and nowhere else.
#[derive(Debug, Clone, Default)]
pub struct EffectiveAccess {
    everywhere: Held,
    scopes: BTreeMap<Scope, Held>,
}

impl EffectiveAccess {
    /// What these assignments give. A role that is not in the graph gives nothing.
    #[must_use]
    pub fn of(assignments: &[Assignment], graph: &RoleGraph) -> Self {
        let mut access = Self::default();
        for assignment in assignments {
            let Some(gives) = graph.gives(&assignment.role).filter(|set| !set.is_empty()) else { continue };
            let held = match &assignment.scope {
                None => &mut access.everywhere,
                Some(scope) => access.scopes.entry(scope.clone()).or_default(),
            };
            held.add(gives, assignment.expires_at);
        }
        access
    }

    /// Whether `needed` is held everywhere. The time is asked for only when something is held until an instant.
    #[must_use]
    pub fn holds(&self, needed: &str, now: impl Fn() -> Timestamp) -> bool {
        self.everywhere.holds(needed, now)
    }

    /// Whether `needed` is held in a scope: everywhere, or there.
    #[must_use]
    pub fn holds_in(&self, needed: &str, scope: &Scope, now: impl Fn() -> Timestamp) -> bool {
        self.everywhere.holds(needed, &now) || self.scopes.get(scope).is_some_and(|held| held.holds(needed, &now))
    }

    /// Everything that is held in `scope` (everywhere, with `None`) and does not end before `end` (never, with `None`): what can be
    /// handed on there until then.
    #[must_use]
    pub fn lasting(&self, scope: Option<&Scope>, end: Option<Timestamp>) -> PermissionSet {
        let mut set = self.everywhere.lasting(end);
        if let Some(held) = scope.and_then(|scope| self.scopes.get(scope)) {
            set.add_all(&held.lasting(end));
        }
        set
    }

    /// Everything that is held everywhere at `now`.
    #[must_use]
    pub fn everywhere(&self, now: Timestamp) -> PermissionSet {
        self.everywhere.at(now)
    }

    /// When something ends that is held, in no order.
    pub fn ends(&self) -> impl Iterator<Item = Timestamp> {
        let all = std::iter::once(&self.everywhere).chain(self.scopes.values());
        all.flat_map(|held| held.until.iter().map(|(end, _)| *end))
    }

    /// The scopes in which something is held.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.keys()
    }

    /// Everything that is held in one scope alone at `now`.
    #[must_use]
    pub fn only_in(&self, scope: &Scope, now: Timestamp) -> PermissionSet {
        self.scopes.get(scope).map(|held| held.at(now)).unwrap_or_default()
    }

    /// Whether somebody who has this at `now` holds all that another one has: everywhere what the other has everywhere, and in each
    /// scope what the other has there. What the other will not have any more does not count, what she will have for longer does.
    #[must_use]
    pub fn holds_all_of(&self, other: &Self, now: Timestamp) -> bool {
        let mine = self.everywhere.at(now);
        mine.holds_all(&other.everywhere.at(now))
            && other.scopes.iter().all(|(scope, theirs)| {
                let theirs = theirs.at(now);
                mine.holds_all(&theirs) || {
                    let mut here = self.only_in(scope, now);
                    here.add_all(&mine);
                    here.holds_all(&theirs)
                }
            })
    }

    /// The permissions that are held everywhere at `now`, in the order of their texts.
    #[must_use]
    pub fn permissions(&self, now: Timestamp) -> Vec<Permission> {
        self.everywhere.at(now).to_permissions().into_iter().collect()
    }
}
