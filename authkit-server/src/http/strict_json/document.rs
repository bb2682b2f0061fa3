//! A JSON text as a tree, parsed more strictly than JSON must be.

use std::fmt;

use poem::http::StatusCode;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};

use crate::problem::Problem;

/// How deep arrays and objects may be nested (OWASP ASVS 15.2.2).
const MAX_DEPTH: u8 = 32;

/// A JSON value. Objects keep their order and hold no name twice.
pub(super) enum Node {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    String(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// Parses a body.
pub(super) fn parse(body: &[u8]) -> Result<Node, Problem> {
    let mut parser = serde_json::Deserializer::from_slice(body);
    let node = Seed { depth: 0 }.deserialize(&mut parser).and_then(|node| parser.end().map(|()| node));
    node.map_err(|error| malformed(body, &error))
}

// SECURITY: only the place is told. What the parser says about it can contain what is there.
fn malformed(body: &[u8], error: &serde_json::Error) -> Problem {
    let problem = Problem::new(StatusCode::BAD_REQUEST, "request.malformed_json", "The request body is not valid JSON");
    if body.iter().all(u8::is_ascii_whitespace) {
        return problem.detail("The body is empty.");
    }
    let (line, column) = (error.line(), error.column());
    let why = if error.is_data() {
        "A member is there twice, or the nesting is too deep,"
    } else {
        "The text breaks off or is malformed"
    };
    problem.detail(format!("{why} at line {line}, column {column}.")).member("line", line).member("column", column)
}

#[derive(Clone, Copy)]
struct Seed {
    depth: u8,
}

impl Seed {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH { Err(E::custom("too deep")) } else { Ok(Self { depth: self.depth + 1 }) }
    }
}

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Node;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let seed = self.deeper()?;
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element_seed(seed)? {
            nodes.push(node);
        }
        Ok(Node::Array(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let seed = self.deeper()?;
        let mut names = std::collections::HashSet::new();
        let mut nodes = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            // SECURITY: parsers differ in which of two equal names counts, so a filter in front could have seen the other one.
            if !names.insert(name.clone()) {
                return Err(A::Error::custom("a member twice"));
            }
            nodes.push((name, members.next_value_seed(seed)?));
        }
        Ok(Node::Object(nodes))
    }
}
