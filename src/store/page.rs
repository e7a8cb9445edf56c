//! Paging: lists that are read page by page.

use std::{fmt, str::FromStr};

/// Asks for a page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ListQuery {
    limit: u32,
    after: Option<Cursor>,
}

impl ListQuery {
    /// The largest number of items in a page: 200.
    pub const MAX_LIMIT: u32 = 200;

    /// Asks for the first `limit` items; a limit outside of 1 to [`MAX_LIMIT`](Self::MAX_LIMIT)
    /// becomes the nearest one inside.
    pub fn first(limit: u32) -> Self {
        Self { limit: limit.clamp(1, Self::MAX_LIMIT), after: None }
    }

    /// Asks for the items after the page that `cursor` was returned with.
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Returns the number of items asked for.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// Returns the cursor of the page before.
    #[must_use]
    pub const fn cursor(&self) -> Option<&Cursor> {
        self.after.as_ref()
    }
}

/// A position in a list: its last item that was read. Opaque to clients, which send it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cursor {
    /// The instant that the list is ordered by, in milliseconds, the latest first.
    pub at: u64,
    /// Orders items of the same instant.
    pub id: u128,
}

impl Cursor {
    /// Creates a cursor.
    #[must_use]
    pub const fn new(at: u64, id: u128) -> Self {
        Self { at, id }
    }
}

/// Writes 48 hexadecimal digits.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:032x}", self.at, self.id)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if text.len() != 48 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidCursor);
        }
        let (at, id) = text.split_at(16);
        Ok(Self {
            at: u64::from_str_radix(at, 16).map_err(|_| InvalidCursor)?,
            id: u128::from_str_radix(id, 16).map_err(|_| InvalidCursor)?,
        })
    }
}

/// The text is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidCursor;

impl fmt::Display for InvalidCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Invalid query parameter `cursor`: use the `next` of a page.")
    }
}

impl std::error::Error for InvalidCursor {}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, the latest first.
    pub items: Vec<T>,
    /// The cursor of the next page, if there is one.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Creates a page from `items`. If there are more items than the query's limit, the caller has
    /// read one more than the limit.
    pub fn new(mut items: Vec<T>, query: &ListQuery, cursor: impl FnOnce(&T) -> Cursor) -> Self {
        let limit = query.limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_as_it_was_written() {
        let cursor = Cursor::new(7, u128::MAX);
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "x", &"g".repeat(48), &"0".repeat(47), &"é".repeat(24)] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
    }

    #[test]
    fn a_page_has_a_cursor_if_there_are_more_items() {
        let query = ListQuery::first(2);
        let cursor = |at: &u64| Cursor::new(*at, 0);
        assert_eq!(Page::new(vec![9, 8], &query, cursor).next, None);
        let page = Page::new(vec![9, 8, 7], &query, cursor);
        assert_eq!((page.items, page.next), (vec![9, 8], Some(Cursor::new(8, 0))));
    }

    #[test]
    fn a_limit_out_of_range_becomes_the_nearest_one() {
        assert_eq!([0, 1, 200, 201].map(|n| ListQuery::first(n).limit()), [1, 1, 200, 200]);
    }
}
