//! Keyset pages: a list is read from where the last page ended, so that page one million costs what page one costs.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// How many items a page may hold: 1 to 200, by default 50.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit(u16);

impl PageLimit {
    /// The most items of a page.
    pub const MAX: u16 = 200;

    /// A limit between 1 and 200; `None` outside.
    #[must_use]
    pub const fn new(limit: u16) -> Option<Self> {
        if limit >= 1 && limit <= Self::MAX { Some(Self(limit)) } else { None }
    }

    /// The number of items.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(50)
    }
}

/// A cursor that this service did not hand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list: pass the next_cursor of the previous page")]
pub struct CursorError;

/// Where a page ended: the identifier of its last item, opaque to the caller.
///
/// # Security
/// A cursor is data, never a fragment of a query: what does not decode to exactly one identifier is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(Uuid);

impl Cursor {
    /// The cursor behind an item.
    #[must_use]
    pub const fn after(id: Uuid) -> Self {
        Self(id)
    }

    /// The identifier of the item that the last page ended with.
    #[must_use]
    pub const fn id(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let mut bytes = [0_u8; 16];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(16) => Ok(Self(Uuid::from_bytes(bytes))),
            _ => Err(CursorError),
        }
    }
}

/// Which page of a list is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// How many items at most.
    pub limit: PageLimit,
    /// Where the previous page ended; `None` for the first page.
    pub cursor: Option<Cursor>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next page starts; `None` at the end of the list.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Makes a page of up to `limit + 1` rows: the surplus row only tells that there is a next page.
    #[must_use]
    pub fn from_surplus(mut rows: Vec<T>, limit: PageLimit, id: impl Fn(&T) -> Uuid) -> Self {
        let more = rows.len() > usize::from(limit.value());
        rows.truncate(usize::from(limit.value()));
        let next = if more { rows.last().map(|row| Cursor::after(id(row))) } else { None };
        Self { items: rows, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_cursor_is_refused() {
        let cursor = Cursor::after(Uuid::from_u128(7));
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "x", "' OR 1=1 --", "AAAAAAAAAAAAAAAAAAAAAA==", &"A".repeat(4_000)] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text}");
        }
    }

    #[test]
    fn the_surplus_row_makes_the_cursor_and_is_not_shown() {
        let rows: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
        let limit = PageLimit::new(2).expect("in range");
        let page = Page::from_surplus(rows.clone(), limit, |id| *id);
        assert_eq!((page.items.as_slice(), page.next), (&rows[..2], Some(Cursor::after(rows[1]))));
        assert_eq!(Page::from_surplus(rows[..2].to_vec(), limit, |id| *id).next, None);
    }
}
