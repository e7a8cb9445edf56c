//! Lists that are read piece by piece.

use std::fmt;

/// Which piece of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ListQuery {
    limit: u32,
    after: Option<Cursor>,
}

impl ListQuery {
    /// The most items of one page.
    pub const MAX_LIMIT: u32 = 100;

    /// The first `limit` items; from 1 to [`MAX_LIMIT`](Self::MAX_LIMIT), others are taken as the nearest.
    pub fn first(limit: u32) -> Self {
        Self { limit: limit.clamp(1, Self::MAX_LIMIT), after: None }
    }

    /// The items behind the page that `cursor` came with.
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// How many items are asked for.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// Behind which item.
    #[must_use]
    pub const fn cursor(&self) -> Option<&Cursor> {
        self.after.as_ref()
    }
}

/// A place in a list: the item that a page ended with. Opaque to clients, who hand it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// What the list is ordered by, latest first.
    pub at: u64,
    /// What tells apart items of the same instant.
    pub tie: u128,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:032x}", self.at, self.tie)
    }
}

impl std::str::FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        if text.len() != 48 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidCursor);
        }
        let (at, tie) = text.split_at(16);
        Ok(Self {
            at: u64::from_str_radix(at, 16).map_err(|_| InvalidCursor)?,
            tie: u128::from_str_radix(tie, 16).map_err(|_| InvalidCursor)?,
        })
    }
}

/// What was handed back is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCursor;

impl fmt::Display for InvalidCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no cursor: hand back the one that a page came with")
    }
}

impl std::error::Error for InvalidCursor {}

/// A piece of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, latest first.
    pub items: Vec<T>,
    /// Where the list goes on, if it does.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// The page of `items`, of which one more than the query's limit was read if there are more.
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
    fn a_cursor_comes_back_as_it_went() {
        let cursor = Cursor { at: 7, tie: u128::MAX };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "x", &"g".repeat(48), &"0".repeat(47), &"é".repeat(24)] {
            assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
        }
    }

    #[test]
    fn a_page_says_where_the_list_goes_on() {
        let query = ListQuery::first(2);
        let place = |at: &u64| Cursor { at: *at, tie: 0 };
        assert_eq!(Page::new(vec![9, 8], &query, place).next, None);
        let page = Page::new(vec![9, 8, 7], &query, place);
        assert_eq!((page.items, page.next), (vec![9, 8], Some(Cursor { at: 8, tie: 0 })));
    }

    #[test]
    fn a_limit_is_taken_as_the_nearest() {
        assert_eq!([0, 1, 100, 101].map(|n| ListQuery::first(n).limit()), [1, 1, 100, 100]);
    }
}
