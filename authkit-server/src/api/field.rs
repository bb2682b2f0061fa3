//! Members of a request body, checked all at once: the reply names every one that is wrong.

use std::collections::BTreeSet;
use std::str::FromStr;

use authkit_core::ImpersonationReason;
use authkit_core::PasskeyName;
use authkit_core::{DeviceName, Email, FullName, LabelError, Locale, Password};
use authkit_core::{RoleDescription, RoleName, Scope, Timestamp};
use authkit_core::{RoleNameError, ScopeError};
use poem::http::StatusCode;

use crate::cli::audit::timestamp;
use crate::problem::Problem;

/// Collects what is wrong with the members of one request.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, &'static str, String)>);

/// How many wrong items of one list a reply names: enough to see what is wrong, whatever is sent.
const MAX_WRONG_ITEMS: usize = 10;

impl Fields {
    /// An email address.
    pub(super) fn email(&mut self, field: &'static str, text: &str) -> Option<Email> {
        Email::parse(text).map_err(|error| self.refuse(field, "invalid_email", &error)).ok()
    }

    /// A password, as it is typed.
    pub(super) fn password(&mut self, field: &'static str, text: &str) -> Option<Password> {
        Password::parse(text).map_err(|error| self.refuse(field, "invalid_password", &error)).ok()
    }

    /// A name of a person.
    pub(super) fn full_name(&mut self, field: &'static str, text: Option<&str>) -> Option<FullName> {
        self.optional(field, "invalid_name", text, FullName::parse)
    }

    /// A language tag.
    pub(super) fn locale(&mut self, field: &'static str, text: Option<&str>) -> Option<Locale> {
        self.optional(field, "invalid_locale", text, Locale::parse)
    }

    /// Why an administrator does something.
    pub(super) fn reason(&mut self, field: &'static str, text: &str) -> Option<ImpersonationReason> {
        self.optional(field, "invalid_reason", Some(text), ImpersonationReason::parse)
    }

    /// A name of a passkey.
    pub(super) fn passkey_name(&mut self, field: &'static str, text: Option<&str>) -> Option<PasskeyName> {
        self.optional(field, "invalid_name", text, PasskeyName::parse)
    }

    /// A name of a device.
    pub(super) fn device_name(&mut self, field: &'static str, text: Option<&str>) -> Option<DeviceName> {
        self.optional(field, "invalid_device_name", text, DeviceName::parse)
    }

    /// What is wrong with a member.
    fn refuse(&mut self, field: impl Into<String>, code: &'static str, error: &dyn std::fmt::Display) {
        self.0.push((field.into(), code, error.to_string()));
    }

    /// A name of a role.
    pub(super) fn role_name(&mut self, field: &'static str, text: &str) -> Option<RoleName> {
        text.parse().map_err(|error: RoleNameError| self.refuse(field, "invalid_role_name", &error)).ok()
    }

    /// What a role is for.
    pub(super) fn role_description(&mut self, field: &'static str, text: Option<&str>) -> Option<RoleDescription> {
        self.optional(field, "invalid_description", text, RoleDescription::parse)
    }

    /// Where an assignment counts.
    pub(super) fn scope(&mut self, field: &'static str, text: Option<&str>) -> Option<Scope> {
        text.and_then(|text| text.parse().map_err(|error: ScopeError| self.refuse(field, "invalid_scope", &error)).ok())
    }

    /// An instant.
    pub(super) fn instant(&mut self, field: &'static str, text: Option<&str>) -> Option<Timestamp> {
        let read = text.map(timestamp)?;
        if read.is_none() {
            self.refuse(field, "invalid_instant", &"must be an instant as in 2026-01-31T00:00:00Z (RFC 3339)");
        }
        read
    }

    /// A list of texts of one kind, each once.
    pub(super) fn set<T: FromStr<Err: std::fmt::Display> + Ord>(
        &mut self,
        field: &'static str,
        code: &'static str,
        texts: Option<&[String]>,
    ) -> Option<BTreeSet<T>> {
        let (mut set, mut wrong) = (BTreeSet::new(), 0);
        for (index, text) in texts?.iter().enumerate() {
            match text.parse() {
                Ok(item) => drop(set.insert(item)),
                Err(error) if wrong < MAX_WRONG_ITEMS => {
                    wrong += 1;
                    self.refuse(format!("{field}[{index}]"), code, &error);
                }
                Err(_) => break,
            }
        }
        Some(set)
    }

    /// A request that lacks what it has to have, or has what does not go together.
    pub(super) fn refused(field: &'static str, message: &'static str) -> Problem {
        let title = "A member of the request body has a value that is not valid";
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid_value", title);
        problem.field(field, "invalid_combination", message)
    }

    /// The value, if it is there and nothing is wrong with any member.
    pub(super) fn complete_or<T>(self, value: Option<T>, field: &'static str, message: &'static str) -> Result<T, Problem> {
        if value.is_none() && self.0.is_empty() {
            return Err(Self::refused(field, message));
        }
        self.complete(value)
    }

    /// The values, if nothing is wrong with any member.
    pub(super) fn complete<T: Complete>(self, values: T) -> Result<T::Whole, Problem> {
        match values.whole() {
            Some(whole) if self.0.is_empty() => Ok(whole),
            _ => {
                let title = "A member of the request body has a value that is not valid";
                let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "request.invalid_value", title);
                Err(self.0.into_iter().fold(problem, |problem, (field, code, message)| problem.field(field, code, message)))
            }
        }
    }

    fn optional<T>(
        &mut self,
        field: &'static str,
        code: &'static str,
        text: Option<&str>,
        parse: impl Fn(&str) -> Result<T, LabelError>,
    ) -> Option<T> {
        text.and_then(|text| parse(text).map_err(|error| self.refuse(field, code, &error)).ok())
    }
}

/// Members that a request cannot do without.
pub(super) trait Complete {
    /// All of them.
    type Whole;

    /// All of them, if all are there.
    fn whole(self) -> Option<Self::Whole>;
}

impl<T> Complete for Option<T> {
    type Whole = T;

    fn whole(self) -> Option<T> {
        self
    }
}

impl<A, B> Complete for (Option<A>, Option<B>) {
    type Whole = (A, B);

    fn whole(self) -> Option<(A, B)> {
        self.0.zip(self.1)
    }
}

impl Complete for () {
    type Whole = ();

    fn whole(self) -> Option<()> {
        Some(())
    }
}
