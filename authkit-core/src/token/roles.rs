//! The roles of a user in her access token.
//!
//! `roles` (RFC 9068 §2.2.3.1) names those that count everywhere, for everybody who reads the token. `ak_acs` has what a name cannot
//! say, as `[role, scope, end]`: roles of one scope, with no end or a second since 1970, and the ends of those in `roles`, with an
//! empty scope. `ak_acv` is the version of the user's access: a node that knows a higher one believes that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Access, Assignment};
use crate::primitives::{RoleName, Scope, Timestamp};

/// The most bytes that the roles of a token take, before base64 makes four of three. A token of ours is looked at up to 8 KiB.
pub const MAX_ROLE_BYTES: usize = 4 * 1_024;

/// What one role takes beside the names: brackets, quotes, commas and an end.
const ENTRY_BYTES: usize = 24;

/// How many bytes an assignment takes in a token, at most.
#[must_use]
pub fn bytes_in_token(assignment: &Assignment) -> usize {
    let (role, scope) = (assignment.role.as_str().len(), assignment.scope.as_ref().map_or(0, |scope| scope.as_str().len()));
    let is_named_twice = assignment.scope.is_none() && assignment.expires_at.is_some();
    ENTRY_BYTES + scope + if is_named_twice { 2 * role + 3 } else { role }
}

/// The claims as we write them.
#[derive(Debug, Default, Serialize)]
pub(super) struct WrittenRoles<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    ak_acv: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ak_acs: Vec<(&'a str, &'a str, i64)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_zero(version: &u32) -> bool {
    *version == 0
}

impl<'a> WrittenRoles<'a> {
    /// The roles that are in force at `now`. Those that do not fit in are left out, which gives less and never more; a flow that assigns
    /// them sees to it that they do.
    pub(super) fn of(access: &'a Access, now: Timestamp) -> Self {
        let mut written = Self { ak_acv: access.version, ..Self::default() };
        let mut room = MAX_ROLE_BYTES;
        for assignment in access.assignments.iter().filter(|assignment| assignment.is_in_force(now)) {
            let Some(left) = room.checked_sub(bytes_in_token(assignment)) else { continue };
            room = left;
            let role = assignment.role.as_str();
            // Cut to the second: what ends then ends no later.
            let end = assignment.expires_at.map_or(0, Timestamp::unix_seconds);
            match &assignment.scope {
                None => {
                    written.roles.push(role);
                    if end != 0 {
                        written.ak_acs.push((role, "", end));
                    }
                }
                Some(scope) => written.ak_acs.push((role, scope.as_str(), end)),
            }
        }
        written
    }
}

/// An entry of `ak_acs`: a role, its scope or an empty text, and its end or 0.
#[derive(Debug, Deserialize)]
pub(super) struct ScopedRole(RoleName, String, i64);

/// The access that the claims say; `None` when they are none of ours.
pub(super) fn read(roles: Vec<RoleName>, scoped: Vec<ScopedRole>, version: u32, issued_at: Timestamp) -> Option<Access> {
    // SECURITY: somebody has one role in one scope once. An end is never lost to a second entry without one.
    let mut assignments: BTreeMap<(RoleName, Option<Scope>), Option<Timestamp>> =
        roles.into_iter().map(|role| ((role, None), None)).collect();
    for ScopedRole(role, scope, end) in scoped {
        let expires_at = (end != 0).then(|| Timestamp::from_unix_seconds(end));
        if scope.is_empty() {
            *assignments.get_mut(&(role, None))? = Some(expires_at?);
        } else if assignments.insert((role, Some(scope.parse().ok()?)), expires_at).is_some() {
            return None;
        }
    }
    let given = |((role, scope), expires_at)| Assignment { role, scope, expires_at, assigned_by: None, assigned_at: issued_at };
    Some(Access { version, assignments: assignments.into_iter().map(given).collect() })
}
