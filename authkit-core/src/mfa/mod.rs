//! Codes of second factors: made, shown and compared, without a port.

pub mod one_time_code;
pub mod recovery_codes;
pub mod totp;

pub use one_time_code::OneTimeCode;
pub use recovery_codes::RecoveryCode;
pub use totp::{EnrolmentError, TotpEnrolment};
