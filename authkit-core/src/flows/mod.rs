//! The use cases, one file each: read, decide, commit once.
//!
//! Only this floor reads ports and commits. Every flow takes one reading of the clock, reads what it needs, decides in
//! plain code, and commits one change set with its audit events in it. Flows do not call one another, but for the shared
//! doors: `engine`, `account_cache`, `breach`, `planned`, `throttle`, `guessing`, `first_factor`, `session_issue`,
//! `access_book` and `authorize`.

pub(crate) mod access_book;
pub(crate) mod account_cache;
pub mod admin_roles;
pub(crate) mod audit_seal;
pub mod audit_stream;
pub mod authorize;
pub(crate) mod breach;
pub(crate) mod engine;
pub mod factor_check;
pub mod first_factor;
pub(crate) mod guessing;
pub(crate) mod mfa_policy;
pub(crate) mod mfa_token;
pub(crate) mod notify;
pub(crate) mod one_time;
pub(crate) mod refusals;
pub mod role_impact;
pub(crate) mod sent_code;
pub(crate) mod session_issue;
pub(crate) mod throttle;
pub(crate) mod trusted_device;

pub mod admin_outbox;
pub mod admin_sessions;
pub mod admin_users;
pub(crate) mod administration;
pub mod audit_export;
pub mod audit_log;
pub mod audit_purge;
pub mod audit_verify;
pub mod authenticate;
pub mod change_email;
pub mod change_password;
pub mod close_account;
pub mod enroll_mfa;
pub mod export_account;
pub mod impersonate;
pub mod import;
pub mod keys;
pub mod login;
pub mod logout;
pub(crate) mod magic_link;
pub mod maintenance;
pub mod outbox;
pub(crate) mod outbox_books;
#[cfg(feature = "passkeys")]
pub mod passkey_check;
#[cfg(feature = "passkeys")]
pub mod passkey_login;
#[cfg(feature = "passkeys")]
pub mod passkey_second_factor;
#[cfg(feature = "passkeys")]
pub mod passkeys;
pub mod password_secrets;
pub(crate) mod pending_registration;
mod planned;
pub mod profile;
pub mod reauthenticate;
pub mod refresh;
pub mod register;
pub(crate) mod reset_mfa;
pub(crate) mod reset_password;
mod retention;
pub mod second_factor;
pub mod sessions;
pub mod unlock;
pub(crate) mod verify_email;
pub mod wrap_hashes;

pub use admin_outbox::OutboxError;
pub use admin_roles::{AccountAccess, ExpectedRole, RoleVersion, ScopedAccess};
pub use admin_roles::{NewRole, OWN_PERMISSIONS, RoleError, RoleGrant, RoleUpdate, Run};
pub use admin_users::{AccountUpdate, AccountVersion, Expected, NewAccount};
pub use administration::AdminError;
pub use audit_log::{Explanation, SecurityActor, SecurityEvent};
pub use audit_purge::{AuditPurge, AuditPurgeError};
pub use audit_seal::Sealed;
pub use audit_stream::{AuditStreamError, AuditStreamHealth};
pub use audit_verify::{AuditAnchor, AuditFault, AuditProblem, Verification, VerifyOptions};
pub use authenticate::{Aal1, Aal2, AuthenticateError, Forbidden, Impersonated, InsufficientAuthentication, Principal};
pub use authorize::{Administrator, AuthorizeError};
pub use change_email::ChangeEmailError;
pub use change_password::{ChangePasswordError, PasswordChange, PasswordChanged};
pub use close_account::CloseAccountError;
pub use engine::Internal;
pub use enroll_mfa::{EnrollError, Enrolled, FactorStatus};
pub use export_account::{AccountExport, ExportError};
pub use factor_check::{ProofMethod, SecondFactor};
pub use first_factor::{FactorDemand, SecondFactorRequired};
pub use impersonate::Impersonation;
pub use import::{AccountImport, ImportMode, ImportOutcome, ImportRefusal};
pub use keys::{KeyStatus, RotateKeyError};
pub use login::{Login, LoginError};
pub use logout::LogoutError;
pub use maintenance::Health;
pub use one_time::LinkError;
pub use outbox_books::OutboxStats;
#[cfg(feature = "passkeys")]
pub use passkey_check::PasskeyProofError;
#[cfg(feature = "passkeys")]
pub use passkeys::{PasskeyAdded, PasskeyError};
pub use password_secrets::PasswordSecretError;
pub use planned::Planned;
pub use profile::{ProfileError, ProfileUpdate};
pub use reauthenticate::ReauthenticateError;
pub use refresh::{RefreshError, Refreshed};
pub use register::{RegisterError, Registration};
pub use role_impact::{AccountDifference, PermissionHolder, RoleDifference, RoleImpact};
pub use second_factor::SecondFactorError;
pub use session_issue::{LoggedIn, TokenPair, TokenReply, UserReply};
pub use sessions::SessionError;
pub use throttle::{RateLimitStats, TooManyRequests};
pub use unlock::{Lock, LockStatus};
pub use wrap_hashes::WrappedPage;
