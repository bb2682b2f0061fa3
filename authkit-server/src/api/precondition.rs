//! The state in which a client has read an account or a role: `ETag` and `If-Match` (RFC 9110 §8.8.3, §13.1.1).

use std::str::FromStr;

use authkit_core::Timestamp;
use authkit_core::flows::{AccountVersion, Expected, ExpectedRole, RoleVersion};
use authkit_core::model::{Role, User};

use super::me::invalid_parameter;
use crate::problem::Problem;

/// More than a client that edits one account has.
const MAX_TAGS: usize = 16;

/// The `ETag` of an account as it was read. It is strong: it changes with the account, its status and its roles.
pub(super) fn entity_tag(user: &User) -> String {
    let AccountVersion { account, access } = AccountVersion::of(user);
    format!("\"{account}.{access}\"")
}

/// The `ETag` of a role as it was read. It is strong, and of another role that came to have the name it is another one.
pub(super) fn role_tag(role: &Role) -> String {
    let RoleVersion { made_at, changes } = RoleVersion::of(role);
    format!("\"{}.{changes}\"", made_at.unix_micros())
}

/// What an `If-Match` asks for.
pub(super) fn if_match(header: Option<&str>) -> Result<Expected, Problem> {
    Ok(matched(header, version)?.map_or(Expected::Anything, Expected::OneOf))
}

/// What an `If-Match` asks for of a role.
pub(super) fn if_role_match(header: Option<&str>) -> Result<ExpectedRole, Problem> {
    Ok(matched(header, role_version)?.map_or(ExpectedRole::Anything, ExpectedRole::OneOf))
}

/// The versions that an `If-Match` names; `None` for any. A tag of another form, or a weak one, is that of nothing that is here.
fn matched<T>(header: Option<&str>, version: impl Fn(&str) -> Option<T>) -> Result<Option<Vec<T>>, Problem> {
    let Some(header) = header.filter(|header| header.trim() != "*") else { return Ok(None) };
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
    Ok(Some(versions))
}

fn version(tag: &str) -> Option<AccountVersion> {
    let (account, access) = tag.split_once('.')?;
    Some(AccountVersion { account: number(account)?, access: number(access)? })
}

fn role_version(tag: &str) -> Option<RoleVersion> {
    let (made_at, changes) = tag.split_once('.')?;
    Some(RoleVersion { made_at: Timestamp::from_unix_micros(number(made_at)?), changes: number(changes)? })
}

/// A number, only as it is written: what is read more generously would be a second name of the same state.
fn number<T: FromStr + ToString>(text: &str) -> Option<T> {
    text.parse::<T>().ok().filter(|number| number.to_string() == text)
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
        let role = |made_at, changes| RoleVersion { made_at: Timestamp::from_unix_micros(made_at), changes };
        assert_eq!(if_role_match(Some("\"0.1\", \"17.0\"")).ok(), Some(ExpectedRole::OneOf(vec![role(0, 1), role(17, 0)])));
        assert_eq!(if_role_match(Some("*")).ok(), Some(ExpectedRole::Anything));
        assert_eq!(if_role_match(Some("W/\"0.1\", \"00.1\", \"1\", \"1.-1\"")).ok(), Some(ExpectedRole::OneOf(Vec::new())));
        for refused in ["", "3.1", "\"3.1", "3.1\"", "\"3.1\",", "*, \"3.1\"", "\"", &"\"1.1\",".repeat(100)] {
            assert!(if_match(Some(refused)).is_err(), "{refused}");
        }
    }
}
