//! The text of several master keys, the same in a setting and in a file.

use crate::embedded::local_custody::{KeyringError, MasterKey, MasterKeyError, usable_together};

/// Why a text is not a list of master keys. Never says the keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MasterKeysError {
    /// One of them cannot be read.
    #[error("key {position} of the list cannot be used: {cause}")]
    Key {
        /// Which one, counted from 1.
        position: usize,
        /// Why.
        cause: MasterKeyError,
    },
    /// They cannot be used together.
    #[error("{0}")]
    Keyring(#[from] KeyringError),
}

impl MasterKey {
    /// Reads master keys, the newest first, separated by commas: `id:base64url(32 bytes)`.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, MasterKeysError> {
        let parts = text.trim().split(',').enumerate();
        let keys = parts
            .map(|(index, part)| Self::parse(part).map_err(|cause| MasterKeysError::Key { position: index + 1, cause }))
            .collect::<Result<Vec<_>, _>>()?;
        usable_together(&keys)?;
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KeyId;
    use crate::primitives::OsEntropy;

    fn key(id: &str) -> String {
        MasterKey::generate(KeyId::parse(id).expect("a name"), &OsEntropy).to_text()
    }

    #[test]
    fn keys_keep_their_order_and_an_unusable_list_is_refused_without_showing_it() {
        let (new, old) = (key("new"), key("old"));
        let keys = MasterKey::parse_list(&format!(" {new} , {old}\n")).expect("two keys");
        assert_eq!(keys.iter().map(|key| key.id().as_str()).collect::<Vec<_>>(), ["new", "old"]);
        for text in [String::new(), format!("{new},"), format!("{new},{new}"), format!("{new} {old}"), "k:AAAA".into()] {
            let error = MasterKey::parse_list(&text).map(|_| ()).expect_err("refused");
            assert!(!error.to_string().contains(&new[4..]) && !format!("{error:?}").contains(&new[4..]), "{error}");
        }
    }
}
