//! Text messages: what they say in which language, and where they go.

mod files;
mod gateway;
mod words;

pub(crate) use files::SmsFiles;
pub(crate) use gateway::{Gateway, GatewayUrl};
pub(crate) use words::Wording;
