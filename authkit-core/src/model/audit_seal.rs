//! Seals of the audit log: what was there, in which order, signed, each resting on the one before.

use crate::model::server_key::KeyId;
use crate::primitives::{AuditEventId, Digest, Timestamp};

/// One event as a seal remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditLeaf {
    /// Which event.
    pub id: AuditEventId,
    /// The leaf hash of its canonical form (RFC 9162 §2.1.1).
    pub hash: Digest,
}

impl AuditLeaf {
    /// How many bytes a leaf takes where it is stored: 16 of the id and 32 of the hash.
    pub const BYTES: usize = 48;

    /// The leaves as a store keeps them, one behind the other.
    #[must_use]
    pub fn to_bytes(leaves: &[Self]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(leaves.len() * Self::BYTES);
        for leaf in leaves {
            bytes.extend_from_slice(leaf.id.as_uuid().as_bytes());
            bytes.extend_from_slice(leaf.hash.as_bytes());
        }
        bytes
    }

    /// The leaves that a store kept; `None` when that is no whole number of them.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Vec<Self>> {
        let (leaves, rest) = bytes.as_chunks::<{ Self::BYTES }>();
        rest.is_empty().then(|| leaves.iter().map(Self::from_chunk).collect())
    }

    fn from_chunk(chunk: &[u8; Self::BYTES]) -> Self {
        let (mut id, mut hash) = ([0; 16], [0; 32]);
        id.copy_from_slice(&chunk[..16]);
        hash.copy_from_slice(&chunk[16..]);
        Self { id: AuditEventId::from_uuid(uuid::Uuid::from_bytes(id)), hash: Digest::from_bytes(hash) }
    }
}

/// A seal: a signed statement about a batch of events, and through `previous` about all the batches before.
///
/// It covers every event whose id is below `through` and not below that of the seal before, as far as it had landed, and at its end
/// those that had landed too late for an earlier seal (`late`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSeal {
    /// Its place in the chain, from 1, without gaps.
    pub number: u64,
    /// The digest of the seal before; of the first one it is 32 zero bytes.
    pub previous: Digest,
    /// Every event below this id that had landed is in this seal or an earlier one.
    pub through: AuditEventId,
    /// How many events it covers.
    pub count: u32,
    /// How many of them, the last ones, are late: their ids are below the `through` of the seal before.
    pub late: u32,
    /// The root of the Merkle tree over its leaves (RFC 9162 §2.1.1).
    pub root: Digest,
    /// The events of the seals up to this number may have been purged; 0 for none.
    pub purged: u64,
    /// When it was made.
    pub sealed_at: Timestamp,
    /// The key that signed it.
    pub key_id: KeyId,
    /// The SHA-256 of everything above. It is derived, and whoever verifies derives it again.
    pub digest: Digest,
    /// The signature over the same bytes, as base64url.
    pub signature: String,
}

/// How far the audit log was handed to a receiver outside, and which node does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditStream {
    /// Names the receiver.
    pub name: String,
    /// The node that hands over, until the lease ends.
    pub holder: String,
    /// When another node may take over.
    pub lease_until: Timestamp,
    /// The last seal whose events were all handed over; 0 for none.
    pub position: u64,
}
