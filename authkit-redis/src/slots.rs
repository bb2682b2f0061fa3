//! Which node of a cluster has which key.

use redis::Value;

use crate::address::Address;

/// How many slots there are (Redis Cluster specification, "Key distribution model").
const SLOTS: u16 = 16_384;

/// The slot of a key: of what is between its first braces, or of all of it.
pub(crate) fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag).filter(|tag| !tag.is_empty());
    crc16(tag.unwrap_or(key).as_bytes()) % SLOTS
}

/// CRC-16/XMODEM, as the specification says.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc: u16, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 })
    })
}

/// Who has the slots from the first to the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SlotRange {
    pub(crate) first: u16,
    pub(crate) last: u16,
    pub(crate) master: Address,
}

impl SlotRange {
    pub(crate) fn contains(&self, slot: u16) -> bool {
        (self.first..=self.last).contains(&slot)
    }

    /// A key in this range, which holds nothing: to see whether its node takes writes.
    pub(crate) fn probe_key(&self) -> String {
        // Sixteen times as many as there are slots reach every one.
        (0..u32::from(SLOTS) * 16)
            .map(probe_key)
            .find(|key| self.contains(slot_of(key)))
            .expect("a slot that some number reaches")
    }
}

fn probe_key(number: u32) -> String {
    format!("authkit:probe:{{{number}}}")
}

/// Reads what a node answers to `CLUSTER SLOTS`. A node that does not say its own host is where it was asked.
pub(crate) fn read_slots(answer: &Value, asked: &Address) -> Option<Vec<SlotRange>> {
    let Value::Array(entries) = answer else { return None };
    let mut ranges = entries.iter().map(|entry| read_range(entry, asked)).collect::<Option<Vec<_>>>()?;
    ranges.sort_unstable_by_key(|range| range.first);
    Some(ranges)
}

fn read_range(entry: &Value, asked: &Address) -> Option<SlotRange> {
    let Value::Array(parts) = entry else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = parts.as_slice() else { return None };
    let [host, Value::Int(port), ..] = master.as_slice() else { return None };
    let host = match host {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
        Value::SimpleString(text) => text,
        _ => "",
    };
    let host = if matches!(host, "" | "?") { asked.host() } else { host };
    let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
    (first <= last && last < SLOTS).then_some(())?;
    Some(SlotRange { first, last, master: Address::new(host, u16::try_from(*port).ok()?) })
}

/// Whether the ranges, in order, hold every slot.
pub(crate) fn is_complete(ranges: &[SlotRange]) -> bool {
    let end = ranges.iter().try_fold(0, |next, range| (range.first == next).then(|| range.last + 1));
    end == Some(SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        // As CLUSTER KEYSLOT says.
        for (key, slot) in [("foo", 12_182), ("{user1000}.following", 3_443), ("foo{}{bar}", 8_363), ("foo{{bar}}zap", 4_015)] {
            assert_eq!(slot_of(key), slot, "{key}");
        }
    }

    #[test]
    fn every_slot_has_a_probe() {
        let mut is_reached = vec![false; usize::from(SLOTS)];
        for number in 0..u32::from(SLOTS) * 16 {
            is_reached[usize::from(slot_of(&probe_key(number)))] = true;
        }
        assert!(is_reached.into_iter().all(|is_reached| is_reached));
    }

    #[test]
    fn a_node_that_does_not_know_its_host_is_where_it_was_asked() {
        let node =
            |host: Value| Value::Array(vec![host, Value::Int(7_000), Value::BulkString(b"id".to_vec()), Value::Array(vec![])]);
        let entry = |first, last, host| Value::Array(vec![Value::Int(first), Value::Int(last), node(host)]);
        let text = |host: &str| Value::BulkString(host.as_bytes().to_vec());
        let answer = Value::Array(vec![entry(8_192, 16_383, text("b")), entry(0, 8_191, Value::Nil)]);
        let ranges = read_slots(&answer, &Address::new("asked", 1)).unwrap();
        assert_eq!(ranges.iter().map(|range| range.master.to_string()).collect::<Vec<_>>(), ["asked:7000", "b:7000"]);
        assert!(is_complete(&ranges) && !is_complete(&ranges[..1]) && !is_complete(&ranges[1..]) && !is_complete(&[]));
        for range in &ranges {
            assert!(range.contains(slot_of(&range.probe_key())));
        }
        assert_eq!(read_slots(&Value::Array(vec![entry(9, 1, text("b"))]), &Address::new("asked", 1)), None);
        assert_eq!(read_slots(&Value::Nil, &Address::new("asked", 1)), None);
    }
}
