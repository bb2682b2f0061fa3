//! The state in which a client has read an account: `ETag` and `If-Match` (RFC 9110 §8.8.3, §13.1.1).

use authkit_core::flows::{AccountVersion, Expected};
use authkit_core::model::User;

use super::me::invalid_parameter;
use crate::problem::Problem;

/// More than a client that edits one account has.
const MAX_TAGS: usize = 16;

/// The `ETag` of an account as it was read. It is strong: it changes with the account, its status and its roles.
pub(super) fn entity_tag(user: &User) -> String {
    let AccountVersion { account, access } = AccountVersion::of(user);
    format!("\"{account}.{access}\"")
}

/// What an `If-Match` asks for. A tag of another form, or a weak one, is that of nothing that is here.
pub(super) fn if_match(header: Option<&str>) -> Result<Expected, Problem> {
    let Some(header) = header else { return Ok(Expected::Anything) };
    if header.trim() == "*" {
        return Ok(Expected::Anything);
    }
    let mut versions = Vec::new();
    for (number, tag) in header.split(',').enumerate() {
        let tag = tag.trim();
        let opaque = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        let Some(opaque) = opaque.filter(|_| number < MAX_TAGS) else {
            return Err(invalid_parameter("If-Match", "must be *, or entity tags as the ETag header has them"));
        };
        if !tag.starts_with("W/") {
            versions.extend(version(opaque));
        }
    }
    Ok(Expected::OneOf(versions))
}

fn version(tag: &str) -> Option<AccountVersion> {
    let (account, access) = tag.split_once('.')?;
    // Only as it is written: what is read more generously would be a second name of the same state.
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| number.to_string() == text);
    Some(AccountVersion { account: number(account)?, access: number(access)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_as_it_is_written_and_others_match_nothing() {
        let of = |account, access| AccountVersion { account, access };
        assert_eq!(if_match(None).ok(), Some(Expected::Anything));
        assert_eq!(if_match(Some(" * ")).ok(), Some(Expected::Anything));
        assert_eq!(if_match(Some("\"3.1\"")).ok(), Some(Expected::OneOf(vec![of(3, 1)])));
        assert_eq!(if_match(Some("\"x\", \"3.1\" , \"4.0\"")).ok(), Some(Expected::OneOf(vec![of(3, 1), of(4, 0)])));
        for nothing in ["W/\"3.1\"", "\"03.1\"", "\"+3.1\"", "\"3\"", "\"3.1.1\"", "\"\"", "\"4294967296.0\"", "\"-1.0\""] {
            assert_eq!(if_match(Some(nothing)).ok(), Some(Expected::OneOf(Vec::new())), "{nothing}");
        }
        for refused in ["", "3.1", "\"3.1", "3.1\"", "\"3.1\",", "*, \"3.1\"", "\"", &"\"1.1\",".repeat(100)] {
            assert!(if_match(Some(refused)).is_err(), "{refused}");
        }
    }
}
