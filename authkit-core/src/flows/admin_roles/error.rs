//! Why a change of roles is refused.

use crate::flows::authorize::AuthorizeError;
use crate::flows::engine::Internal;
use crate::ports::{CommitError, Conflict};
use crate::primitives::RoleName;

/// Why a change of roles was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoleError {
    /// The caller may not do this at all.
    #[error(transparent)]
    Authorize(#[from] AuthorizeError),
    /// The role gives what the caller does not hold herself, there or for as long.
    #[error("nobody hands on or takes away what she does not hold herself")]
    NotHeld,
    /// There is no such role.
    #[error("there is no such role")]
    NotFound,
    /// There is no such account.
    #[error("there is no such account")]
    UserNotFound,
    /// The account does not have the role there.
    #[error("the account does not have this role there")]
    NotAssigned,
    /// A role has this name.
    #[error("a role has this name")]
    NameTaken,
    /// The role is built in.
    #[error("the role is built in and can be neither changed nor deleted")]
    BuiltIn,
    /// The role would inherit itself.
    #[error("the role would inherit itself")]
    Cycle,
    /// There is no role of this name to inherit.
    #[error("there is no role `{role}` to inherit")]
    UnknownInherited {
        /// Its name.
        role: RoleName,
    },
    /// Somebody has the role.
    #[error("somebody has the role: take it from everybody first")]
    InUse,
    /// Another role inherits the role.
    #[error("the role `{by}` inherits this one: change that first")]
    Inherited {
        /// Which.
        by: RoleName,
    },
    /// More than there may be.
    #[error("too many {what}: at most {most}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// The end of the assignment has passed.
    #[error("the end of the assignment has passed")]
    Expired,
    /// The role was changed since it was read.
    #[error("the role was changed since it was read")]
    Changed,
    /// Nobody would hold everything any more.
    #[error("nobody would hold every permission any more")]
    LastSuperuser,
    /// A part below failed.
    #[error(transparent)]
    Internal(#[from] Internal),
}

impl RoleError {
    /// Whether somebody was faster: decided anew, it may succeed.
    pub(super) const fn is_overtaken(&self) -> bool {
        matches!(
            self,
            Self::Internal(Internal::Conflict(CommitError::Conflict(
                Conflict::RolesChanged | Conflict::AccessChanged | Conflict::AuthorityChanged | Conflict::RoleTaken,
            )))
        )
    }

    /// The stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Authorize(error) => error.code(),
            Self::NotHeld => "role.not_held",
            Self::NotFound => "role.not_found",
            Self::UserNotFound => "account.not_found",
            Self::NotAssigned => "role.not_assigned",
            Self::NameTaken => "role.name_taken",
            Self::BuiltIn => "role.built_in",
            Self::Cycle => "role.cycle",
            Self::UnknownInherited { .. } => "role.unknown",
            Self::InUse | Self::Inherited { .. } => "role.in_use",
            Self::TooMany { .. } => "role.too_many",
            Self::Expired => "role.expired",
            Self::Changed => "role.changed",
            Self::LastSuperuser => "role.last_superuser",
            Self::Internal(error) => error.code(),
        }
    }
}
