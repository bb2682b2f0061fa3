//! The root of a Merkle tree (RFC 9162 §2.1.1).
//!
//! Leaves and nodes are hashed under different prefixes, so that no node can be passed off as a leaf.

use sha2::{Digest as _, Sha256};

use crate::primitives::Digest;

/// The hash of a leaf.
#[must_use]
pub fn leaf(entry: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::new().chain_update([0x00]).chain_update(entry).finalize().into())
}

/// The root of the tree over the hashes of leaves, in order. Of none it is the hash of nothing.
#[must_use]
pub fn root(leaves: impl IntoIterator<Item = Digest>) -> Digest {
    // Complete subtrees from the left, each with its height: two of one height become one of the next. What is left at the end is
    // joined from the right, which is the recursive definition read from its leaves.
    let mut subtrees: Vec<(u32, Digest)> = Vec::new();
    for hash in leaves {
        let mut subtree = (0, hash);
        while let Some((height, left)) = subtrees.pop_if(|(height, _)| *height == subtree.0) {
            subtree = (height + 1, node(&left, &subtree.1));
        }
        subtrees.push(subtree);
    }
    let Some((_, mut root)) = subtrees.pop() else { return Digest::of(b"") };
    while let Some((_, left)) = subtrees.pop() {
        root = node(&left, &root);
    }
    root
}

fn node(left: &Digest, right: &Digest) -> Digest {
    Digest::from_bytes(
        Sha256::new().chain_update([0x01]).chain_update(left.as_bytes()).chain_update(right.as_bytes()).finalize().into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digest: Digest) -> String {
        digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    // The entries and roots of the reference tests of Certificate Transparency, whose trees RFC 9162 takes over.
    const ENTRIES: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn the_published_roots_come_out() {
        for (count, expected) in ROOTS.iter().enumerate() {
            assert_eq!(hex(root(ENTRIES[..count].iter().map(|entry| leaf(entry)))), *expected, "{count} entries");
        }
    }

    #[test]
    fn it_is_the_recursive_definition() {
        fn recursive(leaves: &[Digest]) -> Digest {
            match leaves {
                [] => Digest::of(b""),
                [leaf] => *leaf,
                leaves => {
                    let split = 1 << (leaves.len() - 1).ilog2();
                    node(&recursive(&leaves[..split]), &recursive(&leaves[split..]))
                }
            }
        }
        let leaves: Vec<Digest> = (0..70_u8).map(|index| leaf(&[index])).collect();
        for count in 0..=leaves.len() {
            assert_eq!(root(leaves[..count].iter().copied()), recursive(&leaves[..count]), "{count} leaves");
        }
    }
}
