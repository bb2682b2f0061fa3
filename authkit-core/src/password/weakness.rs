//! Why a password is not good enough, in words that help to choose a better one.

use std::fmt;

/// One thing that is wrong with a password. None of them repeats any of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeaknessReason {
    /// It has too few characters.
    TooShort {
        /// The fewest that are allowed.
        min: usize,
    },
    /// An attacker would guess it early: a common password, a word with a number, a pattern of the keyboard.
    TooGuessable {
        /// What makes it easy to guess and what would help, in sentences; may be empty.
        advice: String,
    },
    /// It is one of the most common passwords, as it stands or in a usual disguise (SP 800-63B-4 §3.1.1.2 "blocklist").
    TooCommon,
    /// It is known from breaches elsewhere, so that attackers try it.
    Breached {
        /// How often it was seen.
        times: u64,
    },
    /// It is mostly something that an attacker knows about the account or the service.
    LeansOn {
        /// What it is: "your email address", "your name" or "the name of this service".
        what: &'static str,
    },
}

impl WeaknessReason {
    /// The stable code for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => "too_short",
            Self::TooGuessable { .. } => "too_guessable",
            Self::TooCommon => "too_common",
            Self::Breached { .. } => "breached",
            Self::LeansOn { .. } => "contains_context",
        }
    }

    /// A sentence or more for the person who chose the password.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::TooShort { min } => format!("Use at least {min} characters; a few unrelated words work well."),
            Self::TooGuessable { advice } if advice.is_empty() => {
                "This password is too easy to guess. Add another word or two; uncommon words are better.".to_owned()
            }
            Self::TooGuessable { advice } => format!("This password is too easy to guess. {advice}"),
            Self::TooCommon => "This is one of the passwords that everybody uses, and the first that are tried.".to_owned(),
            Self::Breached { times } => {
                let seen = if *times == 1 { "once".to_owned() } else { format!("{times} times") };
                format!(
                    "This password was seen {seen} in breaches elsewhere, and attackers try it. Choose one that you use nowhere else."
                )
            }
            Self::LeansOn { what } => {
                format!("Do not build the password on {what}; without that part it is too easy to guess.")
            }
        }
    }
}

/// A password is not good enough. `Display` says why in readable sentences.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Weakness {
    reasons: Vec<WeaknessReason>,
}

impl Weakness {
    /// `None` when there is no reason.
    pub(super) fn of(reasons: Vec<WeaknessReason>) -> Option<Self> {
        (!reasons.is_empty()).then_some(Self { reasons })
    }

    /// It was seen in breaches.
    pub(crate) fn breached(times: u64) -> Self {
        Self { reasons: vec![WeaknessReason::Breached { times }] }
    }

    /// Everything that is wrong with it, at least one.
    #[must_use]
    pub fn reasons(&self) -> &[WeaknessReason] {
        &self.reasons
    }
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, reason) in self.reasons.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{}", reason.message())?;
        }
        Ok(())
    }
}
