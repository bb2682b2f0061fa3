//! The traits that a host can plug in, each with its failure policy.

pub mod audit_sink;
pub mod breach_list;
pub mod key_custody;
pub mod mailer;
pub mod rate_limiter;
pub mod record_cache;
pub mod revocation_bus;
pub mod sms_sender;
pub mod store;

pub use audit_sink::{AuditSink, AuditSinkError};
pub use breach_list::{BreachDigest, BreachList, BreachListError};
pub use key_custody::{CustodyError, KeyCustody};
pub use mailer::{MailError, Mailer};
pub use rate_limiter::{BucketKey, Charge, LimiterHealth, RateLimiter, RateLimiterError};
pub use record_cache::{CacheError, CacheHealth, Lease, LookUp, RecordCache, RecordKey};
pub use revocation_bus::{BusError, BusHealth, RevocationBus, RevocationSink};
pub use sms_sender::{SmsError, SmsSender};
pub use store::FactorReads;
pub use store::GuessReads;
pub use store::PasskeyReads;
pub use store::{
    AccessMark, AuditReads, CommitError, Conflict, KeyReads, RevocationMark, RoleReads, SessionReads, Store, StoreError,
    UserReads,
};
pub use store::{OneTimeTokenReads, OutboxReads};
