//! What is sent as a text message, before any words.

use std::time::Duration;

use crate::primitives::{FactorCode, Locale, PhoneNumber};

/// What a text message says.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SmsContent {
    /// A code of six digits, to be typed in.
    Code(FactorCode),
}

impl SmsContent {
    /// The stable name, in the outbox and in what a gateway is sent.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Code(_) => "second_factor_code",
        }
    }
}

/// A text message to be written and sent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sms {
    /// To which telephone: one that its owner has proved to hold, or is about to.
    pub to: PhoneNumber,
    /// The language that she prefers.
    pub locale: Option<Locale>,
    /// What it says.
    pub content: SmsContent,
    /// How long that is true from when it was written down.
    pub good_for: Duration,
}

impl Sms {
    /// A message to somebody.
    #[must_use]
    pub const fn new(to: PhoneNumber, locale: Option<Locale>, content: SmsContent, good_for: Duration) -> Self {
        Self { to, locale, content, good_for }
    }
}
