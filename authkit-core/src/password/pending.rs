//! A password that waits for the proof of its address: whoever chose it may not be who reads the mail there.
//!
//! It is stored as `$authkit-pending$` with the hash behind it. As it stands it is no hash of any format, so that nothing verifies
//! against it, no import takes it, and no job touches it.

use crate::primitives::PasswordHash;

const PREFIX: &str = "$authkit-pending";

/// The hash as it is stored until the address was proved.
#[must_use]
pub(crate) fn pending(hash: &PasswordHash) -> PasswordHash {
    PasswordHash::from_phc(format!("{PREFIX}{}", hash.expose()))
}

/// The hash that waited; `None` for one that does not.
#[must_use]
pub(crate) fn ready(hash: &PasswordHash) -> Option<PasswordHash> {
    let waited = hash.expose().strip_prefix(PREFIX).filter(|rest| rest.starts_with('$'))?;
    Some(PasswordHash::from_phc(waited.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_comes_out_as_it_went_in_and_nothing_else_waits() {
        let hash = PasswordHash::from_phc("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA".to_owned());
        let waits = pending(&hash);
        assert!(waits.expose().starts_with("$authkit-pending$argon2id$"));
        assert_eq!(ready(&waits).as_ref(), Some(&hash));
        assert_eq!(ready(&hash), None);
        assert_eq!(ready(&PasswordHash::from_phc("$authkit-pendingx".to_owned())), None);
    }
}
