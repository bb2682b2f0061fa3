//! What a seal states: the bytes that are digested and signed.

use crate::audit::merkle;
use crate::model::{AuditLeaf, AuditSeal, KeyId};
use crate::primitives::{AuditEventId, Digest, Timestamp};

const LABEL: &[u8] = b"authkit audit seal v1\0";

/// What rests on what: the seal before the first one.
pub const GENESIS: Digest = Digest::from_bytes([0; 32]);

/// A seal that is not signed yet.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The seal before; `None` for the first one.
    pub previous: Option<AuditSeal>,
    /// Every event below this id that had landed is covered.
    pub through: AuditEventId,
    /// The events that are in time, in the order of their ids.
    pub in_time: Vec<AuditLeaf>,
    /// The late ones, in the order of their ids.
    pub late: Vec<AuditLeaf>,
    /// Up to which seal events may have been purged.
    pub purged: u64,
    /// When.
    pub sealed_at: Timestamp,
    /// The key that is going to sign.
    pub key_id: KeyId,
}

impl Statement {
    /// The seal without its signature, and what it is the root of.
    #[must_use]
    pub fn into_seal(self) -> (AuditSeal, Vec<AuditLeaf>) {
        let (mut leaves, late) = (self.in_time, self.late);
        let late_count = u32::try_from(late.len()).unwrap_or(u32::MAX);
        leaves.extend(late);
        let mut seal = AuditSeal {
            number: self.previous.as_ref().map_or(0, |seal| seal.number) + 1,
            previous: self.previous.as_ref().map_or(GENESIS, |seal| seal.digest),
            through: self.through,
            count: u32::try_from(leaves.len()).unwrap_or(u32::MAX),
            late: late_count,
            root: merkle::root(leaves.iter().map(|leaf| leaf.hash)),
            purged: self.purged,
            sealed_at: self.sealed_at,
            key_id: self.key_id,
            digest: GENESIS,
            signature: String::new(),
        };
        seal.digest = digest(&seal);
        (seal, leaves)
    }
}

/// The bytes that a seal is digested and signed by: everything that it states.
#[must_use]
pub fn bytes(seal: &AuditSeal) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(LABEL);
    bytes.extend_from_slice(&seal.number.to_be_bytes());
    bytes.extend_from_slice(seal.previous.as_bytes());
    bytes.extend_from_slice(seal.through.as_uuid().as_bytes());
    bytes.extend_from_slice(&seal.count.to_be_bytes());
    bytes.extend_from_slice(&seal.late.to_be_bytes());
    bytes.extend_from_slice(seal.root.as_bytes());
    bytes.extend_from_slice(&seal.purged.to_be_bytes());
    bytes.extend_from_slice(&seal.sealed_at.unix_micros().to_be_bytes());
    // The only field of no fixed length stands last.
    bytes.extend_from_slice(seal.key_id.as_str().as_bytes());
    bytes
}

/// The digest of what a seal states; what the seal itself says it is, is not asked.
#[must_use]
pub fn digest(seal: &AuditSeal) -> Digest {
    Digest::of(&bytes(seal))
}
