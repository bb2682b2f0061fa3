//! The text of the master keys, the same in the environment and in the data directory.

use authkit_core::OsEntropy;
use authkit_core::embedded::{KeyringError, LocalKeyCustody, MasterKey, MasterKeyError};

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

/// Reads master keys, the newest first, separated by commas: `id:base64url(32 bytes)`.
pub fn parse(text: &str) -> Result<Vec<MasterKey>, MasterKeysError> {
    let text = text.trim();
    let parts = text.split(',').enumerate();
    let keys = parts
        .map(|(index, part)| MasterKey::parse(part).map_err(|cause| MasterKeysError::Key { position: index + 1, cause }))
        .collect::<Result<Vec<_>, _>>()?;
    // What makes a set of keys usable is the custody's rule; ask it here, so that the line names the setting.
    LocalKeyCustody::new(keys.clone(), std::sync::Arc::new(OsEntropy))?;
    Ok(keys)
}

/// The names of the keys, which are no secret.
pub(super) fn show(keys: &[MasterKey]) -> String {
    keys.iter().map(|key| key.id().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use authkit_core::model::KeyId;

    fn key(id: &str) -> String {
        MasterKey::generate(KeyId::parse(id).unwrap(), &OsEntropy).to_text()
    }

    #[test]
    fn keys_keep_their_order_and_an_unusable_list_is_refused_without_showing_it() {
        let (new, old) = (key("new"), key("old"));
        assert_eq!(show(&parse(&format!(" {new} , {old}\n")).unwrap()), "new, old");
        for text in [String::new(), format!("{new},"), format!("{new},{new}"), format!("{new} {old}"), "k:AAAA".into()] {
            let error = parse(&text).map(|_| ()).unwrap_err();
            assert!(!error.to_string().contains(&new[4..]) && !format!("{error:?}").contains(&new[4..]), "{error}");
        }
    }
}
