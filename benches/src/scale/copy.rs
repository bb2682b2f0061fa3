//! Rows in the binary format of `COPY` (PostgreSQL manual, "COPY", Binary Format).

/// What a stream begins with: the signature, no flags, no extension.
const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with, instead of the number of columns of a row.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// The length that stands for `NULL`.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// A buffer that rows are written to, column by column, and that is emptied into the stream now and then.
#[derive(Debug)]
pub struct CopyBuffer {
    bytes: Vec<u8>,
}

impl CopyBuffer {
    /// The beginning of a stream.
    #[must_use]
    pub fn begin() -> Self {
        Self { bytes: HEADER.to_vec() }
    }

    /// Begins a row of so many columns.
    pub fn row(&mut self, columns: i16) -> &mut Self {
        self.bytes.extend_from_slice(&columns.to_be_bytes());
        self
    }

    /// A column of the type `bytea`, `text` or `uuid`.
    #[expect(clippy::missing_panics_doc, reason = "no column holds 2 GiB")]
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        let length = i32::try_from(value.len()).expect("no column holds 2 GiB");
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(value);
        self
    }

    /// A column of the type `text`, or `NULL`.
    pub fn text<'v>(&mut self, value: impl Into<Option<&'v str>>) -> &mut Self {
        match value.into() {
            Some(value) => self.bytes(value.as_bytes()),
            None => self.null(),
        }
    }

    /// A column of the type `bigint`, or `NULL`.
    pub fn int(&mut self, value: impl Into<Option<i64>>) -> &mut Self {
        match value.into() {
            Some(value) => self.bytes(&value.to_be_bytes()),
            None => self.null(),
        }
    }

    /// A column that is `NULL`.
    pub fn null(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(&NULL);
        self
    }

    /// The end of the stream.
    pub fn end(&mut self) {
        self.bytes.extend_from_slice(&TRAILER);
    }

    /// What is to be sent.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        &self.bytes
    }

    /// It was sent.
    pub fn sent(&mut self) {
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_a_header_rows_and_a_trailer() {
        let mut buffer = CopyBuffer::begin();
        buffer.row(4).int(258).text("ab").text(None).null();
        buffer.end();
        let expected: &[&[u8]] = &[
            b"PGCOPY\n\xff\r\n\0",
            &[0; 8],
            &[0, 4],
            &[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1, 2],
            &[0, 0, 0, 2, b'a', b'b'],
            &[0xff; 4],
            &[0xff; 4],
            &[0xff; 2],
        ];
        assert_eq!(buffer.pending(), expected.concat());
        buffer.sent();
        assert!(buffer.pending().is_empty());
    }
}
