//! What somebody may do, as `resource:action`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The most bytes of either part of a permission.
const MAX_PART: usize = 64;

/// Why a text is no permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be `resource:action`, `resource:*` or `*`; each part begins with a lower-case letter and goes on with letters, digits, `_`, `-` or `.`, up to 64 characters"
)]
pub struct PermissionError;

/// A permission: one action on one kind of resource (`invoice:write`), every action on it (`invoice:*`), or everything (`*`).
///
/// ```
/// use authkit_core::Permission;
///
/// let every: Permission = "invoice:*".parse()?;
/// assert!(every.covers(&"invoice:write".parse()?));
/// assert!(!every.covers(&"invoices:write".parse()?));
/// # Ok::<(), authkit_core::PermissionError>(())
/// ```
///
/// # Security
/// The alphabet has no space, no separator and one case: two permissions that look alike are one, and a stored list of them
/// cannot be split in another way than it was joined.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(Box<str>);

impl Permission {
    /// The most bytes of a permission.
    pub const MAX_BYTES: usize = 2 * MAX_PART + 1;

    /// Everything.
    pub const EVERYTHING: &'static str = "*";

    /// The permission to do everything.
    #[must_use]
    pub fn everything() -> Self {
        Self(Self::EVERYTHING.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `*`.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        &*self.0 == Self::EVERYTHING
    }

    /// The resource whose every action this is, where it is that.
    #[must_use]
    pub fn every_action_of(&self) -> Option<&str> {
        self.0.strip_suffix(":*")
    }

    /// Whether whoever holds this one may do what `needed` names: it is the same, or a wildcard around it.
    #[must_use]
    pub fn covers(&self, needed: &Self) -> bool {
        self.is_everything()
            || self == needed
            || self.every_action_of().is_some_and(|resource| needed.0.split_once(':').is_some_and(|(of, _)| of == resource))
    }
}

/// Whether a text is one part of a permission.
fn is_part(text: &str) -> bool {
    text.len() <= MAX_PART
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.'))
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        let is_permission = text == Self::EVERYTHING
            || text.split_once(':').is_some_and(|(resource, action)| is_part(resource) && (action == "*" || is_part(action)));
        if is_permission { Ok(Self(text.into())) } else { Err(PermissionError) }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(text: &str) -> Permission {
        text.parse().expect("a permission")
    }

    #[test]
    fn a_wildcard_covers_its_resource_and_no_neighbour() {
        let (all, every, one) = (permission("*"), permission("invoice:*"), permission("invoice:write"));
        assert!(all.covers(&all) && all.covers(&every) && all.covers(&one));
        assert!(every.covers(&every) && every.covers(&one) && one.covers(&one));
        assert!(!one.covers(&every) && !every.covers(&all) && !one.covers(&all));
        for other in ["invoices:write", "invoice.line:write", "in:write", "invoice-x:write"] {
            assert!(!every.covers(&permission(other)), "{other}");
        }
        assert!(!one.covers(&permission("invoice:writer")));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_permission() {
        let long = format!("{}:read", "a".repeat(65));
        for text in [
            "",
            "invoice",
            "invoice:",
            ":write",
            "Invoice:write",
            "invoice:write:all",
            "invoice :write",
            "invoice:wr ite",
            "*:*",
            "*:write",
            "invoice:**",
            "invoice:w*",
            "1nvoice:write",
            "ınvoice:write",
            "invoice:write\n",
            "-a:b",
            &long,
        ] {
            assert_eq!(text.parse::<Permission>(), Err(PermissionError), "{text:?}");
        }
        let longest = format!("{0}:{0}", "a".repeat(64));
        assert_eq!(permission(&longest).as_str().len(), Permission::MAX_BYTES);
    }
}
