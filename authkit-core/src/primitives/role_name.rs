//! What a role is called, and where an assignment of it counts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is no name of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must begin with a lower-case letter and go on with lower-case letters, digits, `_` or `-`, up to 64 characters")]
pub struct RoleNameError;

/// The name of a role: a lower-case slug of at most 64 characters, e.g. `billing-admin`. It is what identifies the role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName(Box<str>);

impl RoleName {
    /// The most bytes of a name.
    pub const MAX_BYTES: usize = 64;

    /// The role that holds everything, built in.
    pub const ADMIN: &'static str = "admin";

    /// The role that holds nothing, built in.
    pub const USER: &'static str = "user";
}

impl FromStr for RoleName {
    type Err = RoleNameError;

    fn from_str(text: &str) -> Result<Self, RoleNameError> {
        let is_name = text.len() <= Self::MAX_BYTES
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'));
        if is_name { Ok(Self(text.into())) } else { Err(RoleNameError) }
    }
}

/// Why a text is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 128 of the characters a to z, A to Z, 0 to 9 and `: _ - . /`, e.g. tenant:acme")]
pub struct ScopeError;

/// Where an assignment counts, e.g. `tenant:acme` or `project:42`. What the texts mean is the application's; two scopes are the
/// same when their bytes are, and none lies inside another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Box<str>);

impl Scope {
    /// The most bytes of a scope.
    pub const MAX_BYTES: usize = 128;
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let is_scope = (1..=Self::MAX_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-' | b'.' | b'/'));
        if is_scope { Ok(Self(text.into())) } else { Err(ScopeError) }
    }
}

macro_rules! text {
    ($($name:ident),+) => {$(
        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )+};
}

text!(RoleName, Scope);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_slug() {
        for text in ["", "Admin", "a b", "a:b", "a.b", "-a", "1a", "ädmin", "a/b", "a\n", "*", &"a".repeat(65)] {
            assert_eq!(text.parse::<RoleName>(), Err(RoleNameError), "{text:?}");
        }
        assert!("billing-admin_2".parse::<RoleName>().is_ok());
    }

    #[test]
    fn a_scope_is_plain_text() {
        for text in ["", "tenant acme", "tenant:äcme", "a\0", "a'b", "a,b", "a*", &"a".repeat(129)] {
            assert_eq!(text.parse::<Scope>(), Err(ScopeError), "{text:?}");
        }
        assert!("tenant:ACME/project:0190c1f2-0000-7000-8000-000000000000".parse::<Scope>().is_ok());
    }
}
