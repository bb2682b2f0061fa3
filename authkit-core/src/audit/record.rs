//! An event and a seal as JSON: one form for exports, streams and whoever else reads them outside.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::model::{Actor, AuditEvent, AuditSeal};
use crate::primitives::{AuditEventId, Digest, RequestId, SessionId, Timestamp, UserAgent, UserId};

/// An event, for whoever may see all of it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct EventRecord<'a> {
    /// `event`, so that a reader can tell it from a seal.
    pub kind: &'static str,
    /// Names it.
    pub id: AuditEventId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub action: &'static str,
    /// `success` or `failure`.
    pub outcome: &'static str,
    /// `anonymous`, `user` or `system`.
    pub actor: &'static str,
    /// Who, where the actor is a user.
    pub actor_id: Option<UserId>,
    /// In which session, where that is known.
    pub actor_session_id: Option<SessionId>,
    /// To whose account.
    pub subject_id: Option<UserId>,
    /// From which address.
    pub ip: Option<String>,
    /// With what.
    pub user_agent: Option<&'a str>,
    /// In which request.
    pub request_id: Option<&'a str>,
    /// What else is known.
    pub details: Cow<'a, BTreeMap<String, String>>,
}

impl<'a> From<&'a AuditEvent> for EventRecord<'a> {
    fn from(event: &'a AuditEvent) -> Self {
        let (actor, actor_id, actor_session_id) = match event.actor {
            Actor::Anonymous => ("anonymous", None, None),
            Actor::System => ("system", None, None),
            Actor::User(user, session) => ("user", Some(user), session),
        };
        Self {
            kind: "event",
            id: event.id,
            at: event.at,
            action: event.action.as_str(),
            outcome: event.outcome.as_str(),
            actor,
            actor_id,
            actor_session_id,
            subject_id: event.subject,
            ip: event.client.ip.map(|ip| ip.to_string()),
            user_agent: event.client.user_agent.as_ref().map(UserAgent::as_str),
            request_id: event.request_id.as_ref().map(RequestId::as_str),
            details: Cow::Borrowed(&event.details),
        }
    }
}

/// A seal, with everything that its digest and its signature are over.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SealRecord<'a> {
    /// `seal`, so that a reader can tell it from an event.
    pub kind: &'static str,
    /// Its place in the chain.
    pub number: u64,
    /// The digest of the seal before, as base64url.
    pub previous: String,
    /// Every event below this id is covered by it or by an earlier one.
    pub through: AuditEventId,
    /// How many events it covers.
    pub count: u32,
    /// How many of those were late.
    pub late: u32,
    /// The root of the tree over its events, as base64url.
    pub root: String,
    /// Up to which seal events may have been purged.
    pub purged: u64,
    /// When.
    pub sealed_at: Timestamp,
    /// The key that signed it.
    pub key_id: &'a str,
    /// Its digest, as base64url.
    pub digest: String,
    /// Its signature, as base64url.
    pub signature: &'a str,
}

impl<'a> From<&'a AuditSeal> for SealRecord<'a> {
    fn from(seal: &'a AuditSeal) -> Self {
        Self {
            kind: "seal",
            number: seal.number,
            previous: encode(&seal.previous),
            through: seal.through,
            count: seal.count,
            late: seal.late,
            root: encode(&seal.root),
            purged: seal.purged,
            sealed_at: seal.sealed_at,
            key_id: seal.key_id.as_str(),
            digest: encode(&seal.digest),
            signature: &seal.signature,
        }
    }
}

/// An event or a seal as one line of JSON in which nothing but printable ASCII stands: what is not is written as its escape, so that
/// nothing in it can end the line, move a cursor or turn a text around, however it is shown.
#[must_use]
pub fn ascii_line(record: &impl Serialize) -> String {
    // Text alone is serialised, by names that are text: there is nothing that could fail.
    let json = serde_json::to_string(record).unwrap_or_default();
    if json.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return json;
    }
    let mut line = String::with_capacity(json.len() * 2);
    let mut units = [0; 2];
    for c in json.chars() {
        // Outside strings JSON is ASCII, so whatever is not stands inside one and may be escaped there (RFC 8259 §7).
        if (' '..='~').contains(&c) {
            line.push(c);
        } else {
            line.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    line
}

/// A digest as it is shown outside: base64url without padding, 43 characters.
#[must_use]
pub fn encode(digest: &Digest) -> String {
    URL_SAFE_NO_PAD.encode(digest.as_bytes())
}

/// A digest that was shown outside.
#[must_use]
pub fn decode(text: &str) -> Option<Digest> {
    let mut bytes = [0; 32];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    (length == 32).then(|| Digest::from_bytes(bytes))
}
