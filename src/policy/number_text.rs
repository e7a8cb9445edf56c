//! Numbers that reach a deserializer as their text.

use serde::de::{Error, MapAccess};

/// The name of the only member of such a map.
const NUMBER: &str = "$serde_json::private::Number";

/// Reads the text of a number. Any crate of a build can turn on `arbitrary_precision` of `serde_json`,
/// which then passes a number to `deserialize_any` as a map.
pub(super) fn number_text<'de, A>(mut map: A) -> Result<String, A::Error>
where
    A: MapAccess<'de>,
{
    match map.next_entry::<String, String>()? {
        Some((name, text)) if name == NUMBER => Ok(text),
        _ => Err(Error::custom("a map is not expected here")),
    }
}
