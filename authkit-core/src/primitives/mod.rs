//! The smallest parts: identifiers, addresses, secrets, digests, time, randomness and pages.
//!
//! Nothing here knows what an account is, and nothing here imports another floor.

pub mod clock;
pub mod device_kind;
pub mod digest;
pub mod email;
pub mod entropy;
pub mod fold;
pub mod id;
pub mod label;
pub mod network;
pub mod page;
pub mod permission;
pub mod phone;
pub mod role_name;
pub mod sealed;
pub mod secret;

pub use clock::{Clock, SystemClock, Timestamp};
pub use device_kind::DeviceKind;
pub use digest::Digest;
pub use email::{Email, EmailError};
pub use entropy::{Entropy, OsEntropy};
pub use id::TrustedDeviceId;
pub use id::{AuditEventId, RequestId, SessionId, TokenId, UserId};
pub use id::{OneTimeTokenId, OutboxMessageId};
pub use id::{PasskeyChallengeId, PasskeyId};
pub use label::ImpersonationReason;
pub use label::PasskeyName;
pub use label::{DeviceName, FullName, LabelError, Locale, RoleDescription, UserAgent, harmless};
pub use network::client_network;
pub use page::{Cursor, CursorError, Page, PageLimit, PageRequest};
pub use permission::{Permission, PermissionError};
pub use phone::{PhoneNumber, PhoneNumberError};
pub use role_name::{RoleName, RoleNameError, Scope, ScopeError};
pub use sealed::Sealed;
pub use secret::DeviceToken;
pub use secret::OneTimeTokenText;
pub use secret::TrustToken;
pub use secret::{AccessToken, Password, PasswordError, PasswordHash, RefreshToken, SecretBytes};
pub use secret::{FactorCode, MfaToken};
