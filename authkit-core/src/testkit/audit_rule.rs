//! Which event a change has to come with: what "complete" means for the audit log.
//!
//! The match has no wildcard, so whoever adds a change has to say here what tells of it.

use crate::model::AuditAction::{
    AccountChanged, AccountClosed, AccountCreated, AccountImported, AccountRegistered, AccountRestored, AccountSuspended,
    AccountUnlocked, AuditPurged, EmailChangeUndone, EmailChanged, EmailVerified, FactorEnrolled, FactorEnrolmentStarted,
    FactorRemoved, FactorsReset, Impersonation, InvitationAccepted, KeyCreated, KeyDeleted, LinkRequested, Login, Logout,
    LogoutAll, PasswordChanged, PasswordHashWrapped, PasswordReset, ProfileChanged, Reauthentication, RecoveryCodeUsed,
    RecoveryCodesReplaced, RefreshTokenReused, RoleAssigned, RoleChanged, RoleCreated, RoleDeleted, RoleUnassigned,
    SecondFactorDemanded, SessionRevoked, SessionsRevoked,
};
use crate::model::{
    AuditAction, AuditChange, Change, ChangeSet, CredentialChange, FactorChange, GuessChange, KeyChange, OneTimeTokenChange,
    OutboxChange, PasskeyChange, RoleChange, SessionChange, UserChange,
};

/// The events of which one has to be in the same change set. None where nothing has to: what only guards, what is counted, what is
/// forgotten because its time is over, and what another row with its own event has caused.
#[must_use]
pub const fn told_by(change: &Change) -> &'static [AuditAction] {
    match change {
        Change::User(change) => of_user(change),
        Change::Credential(change) => match change {
            CredentialChange::InsertPassword { .. } => {
                &[AccountRegistered, AccountCreated, AccountImported, PasswordReset, PasswordChanged, InvitationAccepted]
            }
            // A login upgrades the hash of the same password.
            CredentialChange::ReplacePassword { .. } => {
                &[PasswordChanged, PasswordReset, PasswordHashWrapped, Login, SecondFactorDemanded, Reauthentication]
            }
            CredentialChange::DeletePassword { .. } => &[EmailVerified, EmailChangeUndone],
        },
        Change::Session(change) => of_session(change),
        Change::Key(change) => match change {
            KeyChange::Insert(_) => &[KeyCreated],
            KeyChange::Delete { .. } => &[KeyDeleted],
        },
        Change::Audit(change) => match change {
            // The seal that lets events go; every other one is about the log and tells of itself.
            // A purge comes behind a seal that has said so, with the event.
            AuditChange::Append(_)
            | AuditChange::Seal { .. }
            | AuditChange::PurgeSealed { .. }
            | AuditChange::ClaimStream { .. }
            | AuditChange::AdvanceStream { .. } => &[],
        },
        Change::Role(change) => match change {
            RoleChange::Insert { .. } => &[RoleCreated],
            RoleChange::Update { .. } => &[RoleChanged],
            RoleChange::Delete { .. } => &[RoleDeleted],
            RoleChange::Expect { .. } | RoleChange::SpareLastHolder { .. } | RoleChange::KeepAHolder => &[],
        },
        Change::Guess(change) => match change {
            // What is counted is refused, with an event of its own behind it.
            GuessChange::Count { .. } | GuessChange::Reserve { .. } | GuessChange::Purge { .. } => &[],
            GuessChange::Forget { .. } => &[
                Login,
                SecondFactorDemanded,
                AccountUnlocked,
                PasswordChanged,
                PasswordReset,
                InvitationAccepted,
                Reauthentication,
            ],
        },
        Change::Factor(change) => match change {
            // A guess is counted here as well, without an event until it is judged.
            FactorChange::Put(_) => &[],
            FactorChange::Forget { .. } => &[FactorRemoved, FactorsReset, EmailVerified],
        },
        Change::OneTimeToken(change) => match change {
            OneTimeTokenChange::Consume { .. } => {
                &[Login, SecondFactorDemanded, EmailVerified, PasswordReset, EmailChanged, EmailChangeUndone, InvitationAccepted]
            }
            OneTimeTokenChange::Insert(_)
            | OneTimeTokenChange::SpendAttempt { .. }
            | OneTimeTokenChange::RevokeAllOf { .. }
            | OneTimeTokenChange::Purge { .. } => &[],
        },
        Change::Passkey(change) => match change {
            PasskeyChange::Insert { .. } => &[AuditAction::PasskeyAdded],
            PasskeyChange::Rename { .. } => &[AuditAction::PasskeyRenamed],
            PasskeyChange::Delete { .. } => &[AuditAction::PasskeyRemoved],
            PasskeyChange::ForgetAllOf { .. } => &[AuditAction::PasskeyRemoved, FactorsReset, EmailVerified, AccountClosed],
            PasskeyChange::Use { .. }
            | PasskeyChange::Challenge(_)
            | PasskeyChange::Answer { .. }
            | PasskeyChange::PurgeChallenges { .. } => &[],
        },
        Change::Outbox(change) => match change {
            OutboxChange::Retry { .. } => &[AuditAction::MessageRetried],
            OutboxChange::Discard { .. } => &[AuditAction::MessageDiscarded],
            OutboxChange::Enqueue(_)
            | OutboxChange::Claim { .. }
            | OutboxChange::Deliver { .. }
            | OutboxChange::Defer { .. }
            | OutboxChange::Bury { .. }
            | OutboxChange::Expire { .. }
            | OutboxChange::Purge { .. } => &[],
        },
    }
}

const fn of_user(change: &UserChange) -> &'static [AuditAction] {
    match change {
        UserChange::Insert(_) => &[AccountRegistered, AccountCreated, AccountImported],
        UserChange::UpdateProfile { .. } => &[ProfileChanged],
        UserChange::VerifyEmail { .. } => &[EmailVerified, PasswordReset, InvitationAccepted, Login, SecondFactorDemanded],
        UserChange::ChangeEmail { .. } => &[EmailChanged, EmailChangeUndone],
        UserChange::RaiseAuthEpoch { .. } => {
            &[PasswordChanged, PasswordReset, EmailChanged, EmailChangeUndone, InvitationAccepted]
        }
        UserChange::SetSecondFactors { .. } => &[FactorEnrolled, FactorRemoved, FactorsReset, EmailVerified],
        UserChange::Update { .. } => &[AccountChanged],
        UserChange::Suspend { .. } => &[AccountSuspended],
        UserChange::Restore { .. } => &[AccountRestored],
        UserChange::ReplaceAssignments { .. } => &[RoleAssigned, RoleUnassigned, AccountRegistered],
        UserChange::Expect { .. } | UserChange::HoldAccess { .. } => &[],
        UserChange::Close { .. } => &[AccountClosed],
    }
}

const fn of_session(change: &SessionChange) -> &'static [AuditAction] {
    match change {
        SessionChange::Insert { .. } => &[Login, AccountRegistered, Impersonation],
        SessionChange::Revoke { .. } => &[
            Logout,
            SessionRevoked,
            RefreshTokenReused,
            AccountClosed,
            // The session in which a password is guessed at.
            AuditAction::GuessingStopped,
        ],
        SessionChange::RevokeAll { .. } => &[
            LogoutAll,
            SessionsRevoked,
            PasswordChanged,
            PasswordReset,
            AccountClosed,
            AccountSuspended,
            AccountChanged,
            EmailVerified,
            EmailChangeUndone,
            InvitationAccepted,
            FactorEnrolled,
            FactorRemoved,
            FactorsReset,
        ],
        // What somebody does in the name of others ends with her own power.
        SessionChange::EndImpersonations { .. }
        | SessionChange::EndImpersonationsOf { .. }
        | SessionChange::EndImpersonationsByRole { .. } => &[
            Logout,
            LogoutAll,
            SessionRevoked,
            SessionsRevoked,
            PasswordChanged,
            PasswordReset,
            AccountClosed,
            AccountSuspended,
            AccountChanged,
            RoleUnassigned,
            RoleAssigned,
            RoleChanged,
            RoleDeleted,
        ],
        // The session that begins has its event.
        SessionChange::EnforceCap { .. } => &[Login, AccountRegistered],
        SessionChange::Purge { .. } => &[],
        // Also where what was proved is a factor that has just been set up, or the session goes on behind a change of factors.
        SessionChange::Reauthenticate { .. } => &[
            Reauthentication,
            FactorEnrolled,
            FactorRemoved,
            RecoveryCodesReplaced,
            AuditAction::DeviceForgotten,
            AuditAction::PasskeyAdded,
            AuditAction::PasskeyRemoved,
        ],
    }
}

/// The actions that [`told_by`] never asks for, and why they are recorded all the same.
pub const TOLD_BY_THEMSELVES: &[AuditAction] = &[
    AuditAction::AccountExported,
    AuditAction::AuditExported,
    AuditPurged,
    AuditAction::RefreshRefused,
    AuditAction::RateLimited,
    AuditAction::Overloaded,
    AuditAction::GuessingDelayed,
    LinkRequested,
    AuditAction::EmailChangeRequested,
    AuditAction::AccountInvited,
    AuditAction::PasswordResetSent,
    AuditAction::RegistrationRequested,
    AuditAction::PasskeyCloneSuspected,
    FactorEnrolmentStarted,
    RecoveryCodesReplaced,
    RecoveryCodeUsed,
];

/// The changes of a set that no event in it tells of.
#[must_use]
pub fn untold(changes: &ChangeSet) -> Vec<&Change> {
    let has = |action: &AuditAction| {
        changes.changes().iter().any(|change| match change {
            Change::Audit(AuditChange::Append(event)) => event.action == *action,
            _ => false,
        })
    };
    let is_untold = |change: &&Change| {
        let told_by = told_by(change);
        !told_by.is_empty() && !told_by.iter().any(has)
    };
    changes.changes().iter().filter(is_untold).collect()
}
