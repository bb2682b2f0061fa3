//! Plain data: one file per aggregate, the struct and the changes it can undergo side by side.

pub mod access;
pub mod audit;
pub mod audit_filter;
pub mod audit_seal;
pub mod change;
pub mod client;
pub mod credential;
pub mod factor;
pub mod guess;
pub mod mail;
pub mod one_time_token;
pub mod outbox;
pub mod passkey;
pub mod rate_limit;
pub mod role;
pub mod sent_code;
pub mod server_key;
pub mod session;
pub mod sms;
pub mod trusted_device;
pub mod user;
mod user_record;
pub mod user_search;

pub use access::{Access, AccessChange, AccessNews, Assignment};
pub use audit::Doer;
pub use audit::{Actor, AuditAction, AuditChange, AuditEvent, Outcome};
pub use audit_filter::{AuditFilter, AuditOrder};
pub use audit_seal::{AuditLeaf, AuditSeal, AuditStream};
pub use change::{Change, ChangeSet, Committed};
pub use client::{Client, RequestContext};
pub use credential::{CredentialChange, Credentials, LoginState, StoredPassword};
pub use factor::Phone;
pub use factor::{FactorChange, FactorKind, FactorSet, Factors, RecoveryCodes, TotpSecret};
pub use guess::{GuessChange, GuessSubject, Guesses};
pub use mail::{AnnouncedFactor, Mail, MailContent, Notice, Occurrence};
pub use one_time_token::{OneTimePurpose, OneTimeToken, OneTimeTokenChange, OneTimeTokenWithUser};
pub use outbox::{MessageKind, OutboxChange, OutboxMessage, OutboxState};
pub use passkey::{CredentialId, Passkey, PasskeyChallenge, PasskeyChange, PasskeyTransport, PasskeyWithUser};
pub use rate_limit::{InvalidQuota, LimitScope, Quota, RateLimitReport, Reading};
pub use role::{Role, RoleChange, StoredRoles};
pub use sent_code::{CodeUse, SentCode};
pub use server_key::{KeyAlgorithm, KeyChange, KeyId, KeyPurpose, ServerKey};
pub use session::AssuranceLevel;
pub use session::{
    AuthMethod, Impersonator, Revocation, RevocationReason, Rotation, RotationOutcome, Session, SessionChange, SessionWithUser,
};
pub use sms::{Sms, SmsContent};
pub use trusted_device::TrustedDevice;
pub use user::{Patch, User, UserChange, UserStatus};
pub use user_search::{UserCursor, UserFilter, UserPage, UserPageRequest, UserQuery, UserQueryError};
