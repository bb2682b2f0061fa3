//! The ports' implementations that need no service: what a single process runs on, and the reference of every contract.

pub mod file_breach_list;
pub mod local_bus;
pub mod local_custody;
pub mod local_rate_limiter;
pub mod local_record_cache;
pub mod master_key_file;
pub mod master_key_list;
pub mod memory_store;

pub use file_breach_list::FileBreachList;
pub use local_bus::LocalRevocationBus;
pub use local_custody::{KeyringError, LocalKeyCustody, MasterKey, MasterKeyError};
pub use local_rate_limiter::LocalRateLimiter;
pub use local_record_cache::LocalRecordCache;
pub use master_key_file::{MasterKeyFile, MasterKeyFileError};
pub use master_key_list::MasterKeysError;
pub use memory_store::MemoryStore;
