//! From a JSON tree to the type of an operation, with an error that names the member and repeats no value.

use std::fmt::{self, Display};

use poem::http::StatusCode;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::document::Node;
use crate::problem::Problem;

/// The most characters of a client's own member name that an answer repeats.
const MAX_NAME_CHARS: usize = 64;

/// Decodes a tree.
pub(super) fn decode<T: DeserializeOwned>(document: Node) -> Result<T, Problem> {
    serde_path_to_error::deserialize(document).map_err(|error| {
        let path = error.path().to_string();
        error.into_inner().into_problem(&path)
    })
}

/// What is wrong with a member.
#[derive(Debug)]
pub(super) enum DecodeError {
    Unknown(String),
    Missing(&'static str),
    Type { expected: String },
    Value,
}

impl DecodeError {
    fn into_problem(self, path: &str) -> Problem {
        let refused = |code: &'static str, title: &'static str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, title);
        // The root has the path `.`, which is no name of a member.
        let at = if path == "." { "" } else { path };
        match self {
            Self::Unknown(name) => {
                let name: String = name.chars().take(MAX_NAME_CHARS).collect();
                let parent = at.strip_suffix('?').map_or(at, |rest| rest.trim_end_matches('.'));
                let field = if parent.chars().take(MAX_NAME_CHARS * 4).collect::<String>().ends_with(&name) {
                    parent.to_owned()
                } else {
                    join(parent, &name)
                };
                let field = field.chars().take(MAX_NAME_CHARS * 4).collect::<String>();
                refused("request.unknown_member", "The request body has a member that is not known here").field(
                    field,
                    "unknown_member",
                    "is not known here",
                )
            }
            Self::Missing(name) => refused("request.missing_member", "The request body lacks a member").field(
                join(at, name),
                "missing_member",
                "is required",
            ),
            Self::Type { expected } => refused("request.invalid_type", "A member of the request body has the wrong type").field(
                at,
                "invalid_type",
                format!("must be {expected}"),
            ),
            Self::Value => refused("request.invalid_value", "A member of the request body has a value that is not valid").field(
                at,
                "invalid_value",
                "is not valid",
            ),
        }
    }
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

impl Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown(_) => "unknown member",
            Self::Missing(_) => "missing member",
            Self::Type { .. } => "invalid type",
            Self::Value => "invalid value",
        })
    }
}

impl std::error::Error for DecodeError {}

// SECURITY: serde hands every error the value that caused it. None of these keeps it.
impl Error for DecodeError {
    fn custom<T: Display>(_: T) -> Self {
        Self::Value
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Type { expected: in_json_words(&expected.to_string()) }
    }

    fn invalid_value(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::Value
    }

    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self::Value
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self::Value
    }

    fn unknown_field(name: &str, _: &'static [&'static str]) -> Self {
        Self::Unknown(name.to_owned())
    }

    fn missing_field(name: &'static str) -> Self {
        Self::Missing(name)
    }

    fn duplicate_field(_: &'static str) -> Self {
        Self::Value
    }
}

/// serde describes what it expects in Rust's words (`struct Login`, `u32`); a client knows JSON's.
fn in_json_words(expected: &str) -> String {
    let words = match expected {
        text if text.contains("string") || text.contains("character") => "a string",
        text if text.contains("boolean") => "true or false",
        text if text.starts_with("struct") || text.contains("map") => "an object",
        text if text.contains("sequence") || text.contains("array") || text.contains("tuple") => "an array",
        "f32" | "f64" => "a number",
        text if text.starts_with(['u', 'i']) && text[1..].chars().all(|c| c.is_ascii_digit() || "size".contains(c)) => {
            "a whole number"
        }
        _ => "of another type",
    };
    words.to_owned()
}

impl Node {
    fn unexpected(&self) -> Unexpected<'static> {
        Unexpected::Other(match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Unsigned(_) | Self::Signed(_) | Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        })
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Unsigned(value) => visitor.visit_u64(value),
            Self::Signed(value) => visitor.visit_i64(value),
            Self::Float(value) => visitor.visit_f64(value),
            Self::String(value) => visitor.visit_string(value),
            Self::Array(items) => {
                let mut access = SeqDeserializer::new(items.into_iter());
                let value = visitor.visit_seq(&mut access)?;
                access.end().map(|()| value)
            }
            Self::Object(members) => {
                let mut access = MapDeserializer::new(members.into_iter());
                let value = visitor.visit_map(&mut access)?;
                access.end().map(|()| value)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self {
            Self::Null => visitor.visit_none(),
            some => visitor.visit_some(some),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    /// An object only: serde would take an array for a struct too, by position.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self {
            Self::Object(_) => self.deserialize_any(visitor),
            other => Err(DecodeError::invalid_type(other.unexpected(), &visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self {
            Self::String(name) => visitor.visit_enum(name.into_deserializer()),
            // An externally tagged enum with contents is no shape of this API.
            other => Err(DecodeError::invalid_type(other.unexpected(), &"a string")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

impl IntoDeserializer<'_, DecodeError> for Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
