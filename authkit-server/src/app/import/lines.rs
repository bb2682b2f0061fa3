//! Lines of bounded length: a file without line breaks takes no memory either.

use std::io::{self, BufRead};

/// The most bytes of a line. An account with everything has less than a tenth.
pub(super) const LINE_BYTES: usize = 64 * 1_024;

/// A line of the file.
pub(super) enum Line {
    /// Its text, without its end.
    Text(String),
    /// It has more bytes than are read.
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
}

/// The lines of a file, counted from 1.
pub(super) struct Lines<'r> {
    reader: &'r mut dyn BufRead,
    buffer: Vec<u8>,
    number: u64,
}

impl<'r> Lines<'r> {
    pub(super) fn new(reader: &'r mut dyn BufRead) -> Self {
        Self { reader, buffer: Vec::new(), number: 0 }
    }

    /// The next line and its number; empty lines are left out.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Line)>> {
        while self.read()? {
            let line = match std::str::from_utf8(&self.buffer) {
                _ if self.buffer.len() > LINE_BYTES => Line::TooLong,
                Err(_) => Line::NotUtf8,
                Ok(text) => {
                    // Some programs begin a file with a byte order mark.
                    let text = if self.number == 1 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
                    if text.trim().is_empty() {
                        continue;
                    }
                    Line::Text(text.to_owned())
                }
            };
            return Ok(Some((self.number, line)));
        }
        Ok(None)
    }

    /// Reads on until the line of this number is the last one that was read.
    pub(super) fn skip_to(&mut self, number: u64) -> io::Result<()> {
        while self.number < number && self.read()? {}
        Ok(())
    }

    /// Reads a line without its end into the buffer, no more of it than one byte too many; `false` at the end.
    fn read(&mut self) -> io::Result<bool> {
        self.buffer.clear();
        let mut any = false;
        loop {
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                break;
            }
            any = true;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let room = (LINE_BYTES + 2).saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(&part[..part.len().min(room)]);
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        if self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        self.number += u64::from(any);
        Ok(any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(u64, Option<String>)> {
        let mut reader = io::BufReader::with_capacity(7, bytes);
        let mut lines = Lines::new(&mut reader);
        let mut found = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            found.push((number, if let Line::Text(text) = line { Some(text) } else { None }));
        }
        found
    }

    #[test]
    fn lines_end_in_either_way_and_are_counted_as_an_editor_does() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(all(b"\xef\xbb\xbfone\r\n\r\n  \nfour\nfive"), [(1, text("one")), (4, text("four")), (5, text("five"))]);
        assert_eq!(all(b""), []);
        assert_eq!(all(b"a\xff\nb"), [(1, None), (2, text("b"))]);
        let long = [vec![b'x'; LINE_BYTES], b"\n".to_vec(), vec![b'y'; 10 * LINE_BYTES], b"\nz".to_vec()].concat();
        let read = all(&long);
        assert_eq!(read[0].1.as_ref().map(String::len), Some(LINE_BYTES));
        assert_eq!(read[1..], [(2, None), (3, text("z"))]);
    }
}
