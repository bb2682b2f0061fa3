//! Mail: what it says in which language, how it is put together, and where it goes.

mod files;
mod message;
mod smtp;
mod texts;
mod trial;

pub(crate) use files::MailFiles;
pub(crate) use message::{Letterhead, escaped};
pub(crate) use smtp::Smtp;
pub(crate) use texts::{FALLBACK, Texts, Variables};
pub(crate) use trial::tried;
