//! A row as it comes back, before anybody knows from which database.

use std::error::Error;
use std::str::FromStr;

use authkit_core::ports::StoreError;
use authkit_core::{Digest, Timestamp};
use uuid::Uuid;

/// A row does not hold what its table promises.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// The driver could not read a column as the type that it should have.
    #[error("column {at} of the row cannot be read")]
    Column {
        at: usize,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A column that is never empty is empty.
    #[error("column {at} of the row is empty")]
    Empty { at: usize },
    /// A value is none that the model knows: the row was altered, or written by a newer version.
    #[error("a stored {what} has an unknown form")]
    Unknown { what: &'static str },
}

impl From<DecodeError> for StoreError {
    fn from(error: DecodeError) -> Self {
        Self::failed(error)
    }
}

/// Access to the columns of a row by position; what a driver has to offer to share the decoding.
pub(crate) trait Row {
    fn int(&self, at: usize) -> Result<Option<i64>, DecodeError>;
    fn text(&self, at: usize) -> Result<Option<String>, DecodeError>;
    fn bytes(&self, at: usize) -> Result<Option<Vec<u8>>, DecodeError>;
    fn id(&self, at: usize) -> Result<Option<Uuid>, DecodeError>;
}

/// Implements [`Row`] for the row of a driver, whose `$id` reads an identifier.
macro_rules! impl_row {
    ($row:ty, $database:ty, $id:expr) => {
        fn column<'r, T>(row: &'r $row, at: usize) -> Result<T, $crate::row::DecodeError>
        where
            T: sqlx::Decode<'r, $database> + sqlx::Type<$database>,
        {
            sqlx::Row::try_get(row, at).map_err(|source| $crate::row::DecodeError::Column { at, source: source.into() })
        }

        impl $crate::row::Row for $row {
            fn int(&self, at: usize) -> Result<Option<i64>, $crate::row::DecodeError> {
                column(self, at)
            }

            fn text(&self, at: usize) -> Result<Option<String>, $crate::row::DecodeError> {
                column(self, at)
            }

            fn bytes(&self, at: usize) -> Result<Option<Vec<u8>>, $crate::row::DecodeError> {
                column(self, at)
            }

            fn id(&self, at: usize) -> Result<Option<uuid::Uuid>, $crate::row::DecodeError> {
                $id(self, at)
            }
        }
    };
}

pub(crate) use impl_row;

/// The columns of a row, from left to right, so that the decoders of two aggregates can follow each other on one row.
pub(crate) struct Fields<'r> {
    row: &'r dyn Row,
    at: usize,
}

impl<'r> Fields<'r> {
    pub(crate) fn of(row: &'r dyn Row) -> Self {
        Self { row, at: 0 }
    }

    fn take<T>(
        &mut self,
        read: impl FnOnce(&dyn Row, usize) -> Result<Option<T>, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        let value = read(self.row, self.at)?;
        self.at += 1;
        Ok(value)
    }

    fn present<T>(&self, value: Option<T>) -> Result<T, DecodeError> {
        value.ok_or(DecodeError::Empty { at: self.at - 1 })
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<String>, DecodeError> {
        self.take(|row, at| row.text(at))
    }

    pub(crate) fn text(&mut self) -> Result<String, DecodeError> {
        let value = self.optional_text()?;
        self.present(value)
    }

    /// A text that `parse` knows.
    pub(crate) fn named<T>(&mut self, what: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, DecodeError> {
        parse(&self.text()?).ok_or(DecodeError::Unknown { what })
    }

    /// A text of a type's own form, where there is one.
    pub(crate) fn optional_parsed<T: FromStr>(&mut self, what: &'static str) -> Result<Option<T>, DecodeError> {
        let parse = |text: String| text.parse().map_err(|_| DecodeError::Unknown { what });
        self.optional_text()?.map(parse).transpose()
    }

    pub(crate) fn optional_time(&mut self) -> Result<Option<Timestamp>, DecodeError> {
        Ok(self.take(|row, at| row.int(at))?.map(Timestamp::from_unix_micros))
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp, DecodeError> {
        let value = self.optional_time()?;
        self.present(value)
    }

    pub(crate) fn optional_number(&mut self) -> Result<Option<u32>, DecodeError> {
        let value = self.take(|row, at| row.int(at))?;
        value.map(|value| u32::try_from(value).map_err(|_| DecodeError::Unknown { what: "number" })).transpose()
    }

    pub(crate) fn number(&mut self) -> Result<u32, DecodeError> {
        let value = self.optional_number()?;
        self.present(value)
    }

    pub(crate) fn count(&mut self) -> Result<u64, DecodeError> {
        let value = self.take(|row, at| row.int(at))?;
        u64::try_from(self.present(value)?).map_err(|_| DecodeError::Unknown { what: "count" })
    }

    pub(crate) fn optional_bytes(&mut self) -> Result<Option<Vec<u8>>, DecodeError> {
        self.take(|row, at| row.bytes(at))
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, DecodeError> {
        let value = self.optional_bytes()?;
        self.present(value)
    }

    pub(crate) fn digest(&mut self) -> Result<Digest, DecodeError> {
        self.bytes()?.try_into().map(Digest::from_bytes).map_err(|_| DecodeError::Unknown { what: "digest" })
    }

    /// Whether the next column, an identifier, is empty. It stays the next one.
    pub(crate) fn is_empty(&self) -> Result<bool, DecodeError> {
        Ok(self.row.id(self.at)?.is_none())
    }

    pub(crate) fn optional_id(&mut self) -> Result<Option<Uuid>, DecodeError> {
        self.take(|row, at| row.id(at))
    }

    pub(crate) fn id(&mut self) -> Result<Uuid, DecodeError> {
        let value = self.optional_id()?;
        self.present(value)
    }
}
