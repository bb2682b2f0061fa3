//! Which roles somebody has.

use serde::{Deserialize, Serialize};

use crate::primitives::{RoleName, Scope, Timestamp, UserId};

/// That somebody has a role: everywhere or in one scope, for good or until an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The role.
    pub role: RoleName,
    /// Where it counts; `None` for everywhere.
    pub scope: Option<Scope>,
    /// Until when it counts; `None` for as long as it is there.
    pub expires_at: Option<Timestamp>,
    /// Who assigned it; `None` for the operator.
    pub assigned_by: Option<UserId>,
    /// When.
    pub assigned_at: Timestamp,
}

impl Assignment {
    /// Whether it counts at `now`.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// The roles that somebody has. A part of her account, so that whoever reads that knows them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// How often they were replaced. It only grows: of what two nodes know of an account, the higher version is the truth.
    pub version: u32,
    /// The assignments, in the order of role and scope, those that have expired included; of one role in one scope there is one.
    pub assignments: Vec<Assignment>,
}

impl Access {
    /// The most assignments of one account.
    pub const MAX_ASSIGNMENTS: usize = 64;

    /// The assignments as text; `None` when there are none.
    #[must_use]
    pub fn to_stored(&self) -> Option<String> {
        if self.assignments.is_empty() {
            return None;
        }
        let fields: Vec<Fields> = self.assignments.iter().map(Fields::of).collect();
        // Text and numbers always serialise.
        serde_json::to_string(&fields).ok()
    }

    /// The access of a version and the text of its assignments; `None` when the text is none of this version of the library.
    #[must_use]
    pub fn from_stored(version: u32, text: Option<&str>) -> Option<Self> {
        let Some(text) = text else { return Some(Self { version, assignments: Vec::new() }) };
        let fields: Vec<Fields> = serde_json::from_str(text).ok()?;
        Some(Self { version, assignments: fields.into_iter().map(Fields::assignment).collect() })
    }
}

/// That the roles of somebody changed: what the nodes tell one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessChange {
    /// Whose.
    pub user_id: UserId,
    /// What she has now.
    pub access: Access,
    /// When it changed.
    pub at: Timestamp,
}

/// What changed since a look: the version of all roles, and whose roles were replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessNews {
    /// The version of all roles.
    pub roles_version: u32,
    /// Whose roles were replaced, in the order of (instant, id).
    pub changes: Vec<AccessChange>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    role: RoleName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<Scope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<UserId>,
    at: i64,
}

impl Fields {
    fn of(assignment: &Assignment) -> Self {
        Self {
            role: assignment.role.clone(),
            scope: assignment.scope.clone(),
            until: assignment.expires_at.map(Timestamp::unix_micros),
            by: assignment.assigned_by,
            at: assignment.assigned_at.unix_micros(),
        }
    }

    fn assignment(self) -> Assignment {
        Assignment {
            role: self.role,
            scope: self.scope,
            expires_at: self.until.map(Timestamp::from_unix_micros),
            assigned_by: self.by,
            assigned_at: Timestamp::from_unix_micros(self.at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_back_and_nothing_else_is_taken_for_them() {
        let bare = Assignment {
            role: "admin".parse().expect("a name"),
            scope: None,
            expires_at: None,
            assigned_by: None,
            assigned_at: Timestamp::from_unix_micros(-1),
        };
        let full = Assignment {
            scope: Some("tenant:acme".parse().expect("a scope")),
            expires_at: Some(Timestamp::from_unix_micros(1_700_000_000_123_456)),
            assigned_by: Some(UserId::from_uuid(uuid::Uuid::from_u128(7))),
            ..bare.clone()
        };
        let access = Access { version: 3, assignments: vec![bare, full] };
        let text = access.to_stored().expect("there are some");
        assert_eq!(Access::from_stored(3, Some(&text)), Some(access));
        assert_eq!(Access::from_stored(9, None), Some(Access { version: 9, assignments: Vec::new() }));
        assert_eq!(Access::default().to_stored(), None);
        for other in ["", "{}", "[{}]", r#"[{"role":"Admin","at":1}]"#, r#"[{"role":"admin","at":1,"x":1}]"#, &text[1..]] {
            assert_eq!(Access::from_stored(0, Some(other)), None, "{other}");
        }
    }
}
