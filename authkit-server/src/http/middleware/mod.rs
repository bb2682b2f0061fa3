//! The layers of the shell, one file each.

pub(crate) mod access_log;
pub(crate) mod count_requests;
pub(crate) mod panic;
pub(crate) mod problems;
pub(crate) mod request_context;
pub(crate) mod request_limits;
pub(crate) mod request_timeout;
pub(crate) mod security_headers;
