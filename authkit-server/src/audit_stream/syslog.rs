//! An event as a message of syslog.

use std::borrow::Cow;
use std::fmt::Write as _;

use authkit_core::audit::{EventRecord, record};
use authkit_core::model::{AuditEvent, Outcome};

/// What a message is at most where it is one datagram: collectors take 8 KiB unless they are told otherwise (RFC 5424 §6.1 asks for
/// 2 KiB of them).
pub(super) const DATAGRAM_BYTES: usize = 8 * 1_024;
/// What a message is at most on a connection.
pub(super) const MESSAGE_BYTES: usize = 64 * 1_024;
/// How much of a detail is kept in a message that would be too long.
const CUT_CHARS: usize = 64;
/// How many details.
const CUT_DETAILS: usize = 16;

/// `security/authorization messages` that not everybody may read, as `sshd` and `su` have it (RFC 5424 §6.2.1).
const AUTHPRIV: u8 = 10;
const WARNING: u8 = 4;
const INFORMATIONAL: u8 = 6;

const APP_NAME: &str = "authkit-server";
/// Of the structured data. The number is the one that is reserved for documentation (RFC 5612): we have none of our own.
const SD_ID: &str = "authkit@32473";

/// Who sends.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    host: String,
    process: u32,
}

impl Sender {
    /// This process.
    pub(super) fn here() -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self::new(host.trim(), std::process::id())
    }

    fn new(host: &str, process: u32) -> Self {
        let host: String = host.chars().filter(char::is_ascii_graphic).take(255).collect();
        Self { host: if host.is_empty() { "-".to_owned() } else { host }, process }
    }

    /// The message as RFC 5424 has it, ASCII alone, without control characters: structured data for whoever filters, and behind it
    /// the event as JSON, as an export has it. What is too long loses details, and says so.
    pub(super) fn rfc5424(&self, event: &AuditEvent, most: usize) -> String {
        let record = EventRecord::from(event);
        let mut text = format!(
            "<{}>1 {} {} {APP_NAME} {} {} [{SD_ID}",
            priority(event),
            event.at,
            self.host,
            self.process,
            // At most 32 characters (§6).
            record.action.get(..32).unwrap_or(record.action),
        );
        let data = [
            ("id", Some(record.id.to_string())),
            ("action", Some(record.action.to_owned())),
            ("outcome", Some(record.outcome.to_owned())),
            ("actor", Some(record.actor.to_owned())),
            ("actorId", record.actor_id.map(|id| id.to_string())),
            ("subjectId", record.subject_id.map(|id| id.to_string())),
            ("ip", record.ip.clone()),
            ("requestId", record.request_id.map(str::to_owned)),
        ];
        for (name, value) in data {
            if let Some(value) = value {
                let _ = write!(text, " {name}=\"{}\"", escaped(&value));
            }
        }
        text.push_str("] ");
        let left = most.saturating_sub(text.len());
        text.push_str(&json(record, left));
        text
    }

    /// The message as `syslog(3)` sends it to the socket of its machine, whose readers (journald, rsyslog) expect no other.
    pub(super) fn local(&self, event: &AuditEvent, most: usize) -> String {
        let format = time::macros::format_description!("[month repr:short] [day padding:space] [hour]:[minute]:[second]");
        let at = time::OffsetDateTime::from_unix_timestamp(event.at.unix_seconds()).ok();
        let at = at.and_then(|at| at.format(format).ok()).unwrap_or_else(|| "Jan  1 00:00:00".to_owned());
        let mut text = format!("<{}>{at} {APP_NAME}[{}]: ", priority(event), self.process);
        let left = most.saturating_sub(text.len());
        text.push_str(&json(EventRecord::from(event), left));
        text
    }
}

fn priority(event: &AuditEvent) -> u8 {
    AUTHPRIV * 8 + if event.outcome == Outcome::Success { INFORMATIONAL } else { WARNING }
}

/// SECURITY: a value cannot end its parameter (RFC 5424 §6.3.3), and holds nothing but printable ASCII.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '"' | '\\' | ']' => text.extend(['\\', c]),
            ' '..='~' => text.push(c),
            _ => text.push('?'),
        }
    }
    text
}

/// The event as JSON of at most `most` bytes: whole, or with details that are cut, or without them.
fn json(mut record: EventRecord<'_>, most: usize) -> String {
    let whole = record::ascii_line(&record);
    if whole.len() <= most {
        return whole;
    }
    let cut = |text: &str| text.chars().take(CUT_CHARS).collect::<String>();
    let mut details: std::collections::BTreeMap<String, String> =
        record.details.iter().take(CUT_DETAILS).map(|(name, value)| (cut(name), cut(value))).collect();
    details.insert("truncated".to_owned(), "true".to_owned());
    record.details = Cow::Owned(details);
    let short = record::ascii_line(&record);
    if short.len() <= most {
        return short;
    }
    record.details = Cow::Owned([("truncated".to_owned(), "true".to_owned())].into());
    record.user_agent = None;
    record::ascii_line(&record)
}

#[cfg(test)]
mod tests {
    use authkit_core::testkit::Fixtures;
    use serde_json::Value;

    use super::*;

    fn event() -> AuditEvent {
        let fixtures = Fixtures::new(1);
        fixtures.event(fixtures.user().id).with("reason", "Zoë\r\n<0>1 - forged")
    }

    /// The parts of a message of RFC 5424, by its grammar (§6).
    fn parts(message: &str) -> (u8, Vec<&str>, String, &str) {
        let (priority, rest) = message.strip_prefix('<').and_then(|rest| rest.split_once('>')).expect("a priority");
        let mut fields = rest.splitn(7, ' ');
        let head: Vec<&str> = fields.by_ref().take(6).collect();
        let rest = fields.next().expect("structured data");
        let bytes = rest.as_bytes();
        let (mut end, mut in_value) = (1, false);
        while in_value || bytes[end] != b']' {
            match bytes[end] {
                b'\\' if in_value => end += 1,
                b'"' => in_value = !in_value,
                _ => {}
            }
            end += 1;
        }
        (priority.parse().expect("a number"), head, rest[1..end].to_owned(), &rest[end + 2..])
    }

    #[test]
    fn a_message_is_one_line_of_ascii_with_the_event_in_it() {
        let sender = Sender::new("host.example", 42);
        let event = event();
        let message = sender.rfc5424(&event, MESSAGE_BYTES);
        assert!(message.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{message}");
        let (priority, head, data, json) = parts(&message);
        let action = event.action.as_str();
        let at = event.at.to_string();
        assert_eq!((priority, head), (86, vec!["1", at.as_str(), "host.example", "authkit-server", "42", action]));
        assert!(
            data.starts_with(&format!("authkit@32473 id=\"{}\" action=\"{action}\" outcome=\"success\"", event.id)),
            "{data}"
        );
        let json: Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(json["id"], event.id.to_string());
        assert_eq!(json["details"]["reason"], event.details["reason"]);
        let failed = AuditEvent { outcome: Outcome::Failure, ..event };
        assert!(sender.rfc5424(&failed, MESSAGE_BYTES).starts_with("<84>1 "));
        let local = sender.local(&failed, MESSAGE_BYTES);
        assert!(local.starts_with("<84>Jan  1 00:00:00 authkit-server[42]: {\"kind\":\"event\""), "{local}");
    }

    #[test]
    fn nothing_that_comes_from_outside_breaks_out() {
        let sender = Sender::new("a host\nwith\u{e9} things", 1);
        let hostile = "\"] x=\"\\\n<13>1 2025 evil - - - -\u{0}\u{1b}[2J\u{2028}\u{202e}\u{1F511}";
        let mut event = event();
        // As a host may write it that goes around `with`.
        event.details.insert(hostile.to_owned(), hostile.to_owned());
        for message in [sender.rfc5424(&event, MESSAGE_BYTES), sender.local(&event, MESSAGE_BYTES)] {
            assert!(message.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{message}");
        }
        let message = sender.rfc5424(&event, MESSAGE_BYTES);
        let (_, head, _, json) = parts(&message);
        assert_eq!(head[2], "ahostwiththings");
        let json: Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(json["details"][hostile], hostile, "it is all there, escaped");
        assert_eq!(escaped(hostile).matches("\\\"").count(), 2);
        assert!(!escaped(hostile).contains(['\n', '\u{1b}', '\u{0}']));
    }

    #[test]
    fn a_megabyte_is_cut_and_said_to_be() {
        let sender = Sender::new("host", 1);
        for (names, values) in [(1, 1_000_000), (2_000, 500), (1_000_000, 1)] {
            let mut event = event();
            if names == 1_000_000 {
                event.details.insert("\u{1F511}".repeat(names), "x".to_owned());
            } else {
                for index in 0..names {
                    event.details.insert(format!("name{index}"), "\u{1F511}".repeat(values));
                }
            }
            for most in [DATAGRAM_BYTES, MESSAGE_BYTES] {
                for message in [sender.rfc5424(&event, most), sender.local(&event, most)] {
                    assert!(message.len() <= most, "{} bytes of {most}", message.len());
                    assert!(message.contains("\"truncated\":\"true\""), "{message}");
                    let json = &message[message.find("{\"kind\"").expect("an object")..];
                    let json: Value = serde_json::from_str(json).expect("JSON");
                    assert_eq!(json["id"], event.id.to_string());
                }
            }
        }
        // And what fits is left alone.
        assert!(!sender.rfc5424(&event(), DATAGRAM_BYTES).contains("truncated"));
    }
}
