//! Whether the audit log is what was sealed: nothing altered, removed, added or put elsewhere.

use std::collections::BTreeMap;

use crate::audit::{canonical, merkle, sealing};
use crate::flows::engine::{Engine, Internal};
use crate::model::{AuditEvent, AuditFilter, AuditLeaf, AuditSeal, KeyId};
use crate::ports::StoreError;
use crate::primitives::{AuditEventId, Cursor, Digest, PageLimit, PageRequest, Timestamp};
use crate::token::SealVerifier;

/// How many faults are named; the others are counted.
const NAMED: usize = 100;
/// How many events that no seal has named yet are remembered while the later seals are looked through.
const UNCLAIMED: usize = 100_000;

/// The end of the chain at some moment: kept elsewhere, it shows later that nothing behind it was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditAnchor {
    /// The number of the seal.
    pub number: u64,
    /// Its digest.
    pub digest: Digest,
}

/// How the log is verified.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// The first seal that is looked at; what lies before it is taken for granted. 0 and 1 are the first one there is.
    pub from_seal: u64,
    /// The public keys that may have signed, where not those of the store are to be believed.
    pub trusted: Vec<SealVerifier>,
    /// What is known of an earlier end of the chain.
    pub anchor: Option<AuditAnchor>,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuditFault {
    /// An event is another than the one that was sealed, or cannot be read any more.
    Altered,
    /// An event that was sealed is gone, and was not purged.
    Removed,
    /// An event stands among sealed ones, and is in no seal.
    Added,
    /// A seal is missing in the chain.
    SealRemoved,
    /// A seal is another than the one that was signed, or cannot be read.
    SealAltered,
    /// A seal does not rest on the one before.
    SealUnlinked,
    /// A seal is signed by a key that is not trusted.
    UnknownKey,
    /// The list of what a seal covers is missing, or another.
    LeavesAltered,
    /// The chain ends before the anchor, or holds another seal in its place.
    AnchorMissed,
}

impl AuditFault {
    /// What it means, for a person.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Altered => "the event was altered after it was sealed",
            Self::Removed => "the event was sealed and is gone",
            Self::Added => "the event was added among sealed ones",
            Self::SealRemoved => "the seal is missing",
            Self::SealAltered => "the seal was altered, or its signature is not valid",
            Self::SealUnlinked => "the seal does not rest on the one before it: seals were removed, added or exchanged",
            Self::UnknownKey => "the seal is signed by a key that is not trusted",
            Self::LeavesAltered => "the list of the events of the seal was altered or removed",
            Self::AnchorMissed => "the chain does not contain the anchor: its end was cut off, or it is another chain",
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditProblem {
    /// In which seal; for an added event, the one in whose range it stands.
    pub seal: u64,
    /// Which event, where it is about one.
    pub event: Option<AuditEventId>,
    /// What.
    pub fault: AuditFault,
}

/// What a verification has found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Verification {
    /// How many seals were verified.
    pub seals: u64,
    /// How many events are as they were sealed.
    pub events: u64,
    /// How many of those had landed late.
    pub late: u64,
    /// How many events were purged, which their seals still count.
    pub purged: u64,
    /// Up to which seal events may have been purged; 0 for none.
    pub purged_through: u64,
    /// How many events are not sealed yet.
    pub unsealed: u64,
    /// Everything before this instant that had landed is proven; `None` when nothing is sealed.
    pub proven_until: Option<Timestamp>,
    /// The end of the chain.
    pub head: Option<AuditAnchor>,
    /// What is wrong, in the order of the chain: at most a hundred.
    pub problems: Vec<AuditProblem>,
    /// How much more is wrong.
    pub more_problems: u64,
}

impl Verification {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Verifies the chain and the events under it, in constant memory but for what is wrong.
///
/// It proves that what lies before `proven_until` is what was there when it was sealed, to whoever trusts the keys. It cannot prove
/// anything against somebody who holds both the database and a sealing key, nor that the newest seals were not cut off together with
/// their events, unless an anchor is given that was kept elsewhere.
pub(crate) async fn verify(engine: &Engine, options: &VerifyOptions) -> Result<Verification, Internal> {
    let keyring = engine.keyring.load_full();
    let own = keyring.seal_keys().iter().map(|key| key.verifier());
    let trusted = if options.trusted.is_empty() { own.collect() } else { options.trusted.iter().collect::<Vec<_>>() };
    let mut run = Run { engine, trusted, unclaimed: BTreeMap::new(), found: Verification::default() };
    run.all(options).await?;
    let mut found = run.found;
    found.problems.sort_by_key(|problem| (problem.seal, problem.event));
    Ok(found)
}

struct Run<'r> {
    engine: &'r Engine,
    trusted: Vec<&'r SealVerifier>,
    /// Events that stand among sealed ones and that no seal so far has named, with the seal in whose range they stand.
    unclaimed: BTreeMap<AuditEventId, (Digest, u64)>,
    found: Verification,
}

/// The answer of a read whose row may have been altered so that it cannot be read any more.
fn readable<T>(read: Result<T, StoreError>) -> Result<Option<T>, Internal> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::Failed(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Run<'_> {
    fn wrong(&mut self, seal: u64, event: Option<AuditEventId>, fault: AuditFault) {
        if self.found.problems.len() < NAMED {
            self.found.problems.push(AuditProblem { seal, event, fault });
        } else {
            self.found.more_problems += 1;
        }
    }

    async fn all(&mut self, options: &VerifyOptions) -> Result<(), Internal> {
        let (store, limit) = (&self.engine.store, PageLimit::new(PageLimit::MAX).unwrap_or_default());
        let now = self.engine.now();
        let Some(head) = readable(store.last_audit_seal().await)? else {
            self.wrong(0, None, AuditFault::SealAltered);
            return Ok(());
        };
        let nil = AuditEventId::from_uuid(uuid::Uuid::nil());
        let max = AuditEventId::from_uuid(uuid::Uuid::max());
        if let Some(anchor) = options.anchor
            && head.as_ref().is_none_or(|head| head.number < anchor.number)
        {
            self.wrong(anchor.number, None, AuditFault::AnchorMissed);
        }
        let Some(head) = head else {
            self.found.unsealed = store.audit_event_count(nil, max).await?;
            return Ok(());
        };
        self.found.purged_through = head.purged;
        self.found.head = Some(AuditAnchor { number: head.number, digest: sealing::digest(&head) });
        self.found.proven_until = Some(head.through.instant());
        let mut number = options.from_seal.max(1);
        let mut previous = None;
        if number > 1 {
            let one = PageLimit::new(1).unwrap_or_default();
            let before = readable(store.audit_seals(number - 2, one).await)?.and_then(|seals| seals.into_iter().next());
            previous = before.filter(|before| before.number == number - 1);
            if previous.is_none() {
                self.wrong(number - 1, None, AuditFault::SealRemoved);
            }
        }
        'chain: loop {
            let Some(page) = readable(store.audit_seals(number - 1, limit).await)? else {
                self.wrong(number, None, AuditFault::SealAltered);
                break;
            };
            if page.is_empty() {
                break;
            }
            for seal in page {
                // What was sealed since the head was read is for the next time.
                if seal.number > head.number {
                    break 'chain;
                }
                if seal.number != number {
                    self.wrong(number, None, AuditFault::SealRemoved);
                    previous = None;
                }
                number = seal.number + 1;
                let before = previous.as_ref();
                let is_authentic = self.seal(&seal, before, options);
                let from = match (before, seal.number) {
                    (Some(before), _) => Some(before.through),
                    (None, 1) => Some(nil),
                    (None, _) => None,
                };
                if let (true, Some(from)) = (is_authentic, from) {
                    self.events(&seal, from, head.purged).await?;
                }
                previous = Some(seal);
            }
        }
        if number <= head.number {
            self.wrong(number, None, AuditFault::SealRemoved);
        }
        self.found.unsealed = store.audit_event_count(head.through, max).await?;
        // What has just landed behind the seals will be sealed as late; what is older has been put there.
        let earliest = AuditEventId::first_of(now - self.engine.config.audit.late_within);
        for (id, (_, seal)) in std::mem::take(&mut self.unclaimed) {
            if id >= earliest {
                self.found.unsealed += 1;
            } else {
                self.wrong(seal, Some(id), AuditFault::Added);
            }
        }
        Ok(())
    }

    /// Whether a seal is what was signed, and stands where it belongs.
    fn seal(&mut self, seal: &AuditSeal, before: Option<&AuditSeal>, options: &VerifyOptions) -> bool {
        let bytes = sealing::bytes(seal);
        let digest = Digest::of(&bytes);
        let mut is_authentic = true;
        match self.verifier(&seal.key_id) {
            None => {
                self.wrong(seal.number, None, AuditFault::UnknownKey);
                is_authentic = false;
            }
            Some(key) => {
                if !key.verifies(&bytes, &seal.signature) || digest != seal.digest {
                    self.wrong(seal.number, None, AuditFault::SealAltered);
                    is_authentic = false;
                }
            }
        }
        let rests_on = match (before, seal.number) {
            (Some(before), _) => Some(sealing::digest(before)),
            (None, 1) => Some(sealing::GENESIS),
            // The one before is missing, which was said.
            (None, _) => None,
        };
        if rests_on.is_some_and(|digest| digest != seal.previous) {
            self.wrong(seal.number, None, AuditFault::SealUnlinked);
            is_authentic = false;
        }
        if options.anchor.is_some_and(|anchor| anchor.number == seal.number && anchor.digest != digest) {
            self.wrong(seal.number, None, AuditFault::AnchorMissed);
        }
        if is_authentic {
            self.found.seals += 1;
        }
        is_authentic
    }

    fn verifier(&self, id: &KeyId) -> Option<&SealVerifier> {
        self.trusted.iter().copied().find(|key| key.id() == id)
    }

    /// Compares what a seal covers with what is there.
    async fn events(&mut self, seal: &AuditSeal, from: AuditEventId, purged_through: u64) -> Result<(), Internal> {
        let leaves = match readable(self.engine.store.audit_leaves(seal.number).await)? {
            Some(Some(leaves)) => leaves,
            Some(None) if seal.number <= purged_through => {
                self.found.purged += u64::from(seal.count);
                return self.walk(seal.number, from, seal.through, &[]).await;
            }
            _ => {
                self.wrong(seal.number, None, AuditFault::LeavesAltered);
                return Ok(());
            }
        };
        let count = usize::try_from(seal.count).unwrap_or(usize::MAX);
        let is_whole = leaves.len() == count && merkle::root(leaves.iter().map(|leaf| leaf.hash)) == seal.root;
        let in_time = count.checked_sub(usize::try_from(seal.late).unwrap_or(usize::MAX)).filter(|_| is_whole);
        let Some((in_time, late)) = in_time.map(|in_time| leaves.split_at(in_time)) else {
            self.wrong(seal.number, None, AuditFault::LeavesAltered);
            return Ok(());
        };
        self.walk(seal.number, from, seal.through, in_time).await?;
        for leaf in late {
            self.late(seal.number, leaf).await?;
        }
        Ok(())
    }

    /// Walks through the events of a range, beside the leaves that should be there.
    async fn walk(&mut self, seal: u64, from: AuditEventId, below: AuditEventId, expected: &[AuditLeaf]) -> Result<(), Internal> {
        let filter = AuditFilter::new().between(from, below).oldest_first();
        let limit = PageLimit::new(PageLimit::MAX).unwrap_or_default();
        let (mut expected, mut cursor): (_, Option<Cursor>) = (expected.iter().copied().peekable(), None);
        loop {
            let Some(page) = readable(self.engine.store.audit_events(&filter, PageRequest { limit, cursor }).await)? else {
                // A row among them cannot be read. One by one it can be named.
                for leaf in expected {
                    self.one(seal, &leaf).await?;
                }
                return Ok(());
            };
            for event in &page.items {
                let leaf = canonical::leaf(event);
                while let Some(gone) = expected.next_if(|next| next.id < leaf.id) {
                    self.wrong(seal, Some(gone.id), AuditFault::Removed);
                }
                match expected.next_if(|next| next.id == leaf.id) {
                    Some(sealed) => self.compare(seal, &sealed, leaf.hash),
                    None if self.unclaimed.len() < UNCLAIMED => drop(self.unclaimed.insert(leaf.id, (leaf.hash, seal))),
                    None => self.wrong(seal, Some(leaf.id), AuditFault::Added),
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        for gone in expected {
            self.wrong(seal, Some(gone.id), AuditFault::Removed);
        }
        Ok(())
    }

    fn compare(&mut self, seal: u64, sealed: &AuditLeaf, there: Digest) {
        if sealed.hash == there {
            self.found.events += 1;
        } else {
            self.wrong(seal, Some(sealed.id), AuditFault::Altered);
        }
    }

    /// Compares one event that is looked up by its id.
    async fn one(&mut self, seal: u64, leaf: &AuditLeaf) -> Result<(), Internal> {
        let filter = AuditFilter::new().between(leaf.id, leaf.id.next());
        match readable(self.engine.store.audit_events(&filter, PageRequest::default()).await)? {
            None => self.wrong(seal, Some(leaf.id), AuditFault::Altered),
            Some(page) => match page.items.first().map(|event: &AuditEvent| canonical::leaf(event)) {
                Some(there) => self.compare(seal, leaf, there.hash),
                None => self.wrong(seal, Some(leaf.id), AuditFault::Removed),
            },
        }
        Ok(())
    }

    /// An event that had landed late: it stands in the range of an earlier seal.
    async fn late(&mut self, seal: u64, leaf: &AuditLeaf) -> Result<(), Internal> {
        self.found.late += 1;
        match self.unclaimed.remove(&leaf.id) {
            Some((there, _)) => {
                self.compare(seal, leaf, there);
                Ok(())
            }
            // Its range was not walked through, or it is gone.
            None => self.one(seal, leaf).await,
        }
    }
}
