//! The label of a session: what the app shows of it in lists.

use std::{error::Error, fmt};

use serde::Serialize;
use serde_json::value::RawValue;

/// What the app shows of a session in a list, such as its device or place: at most 512 bytes of the
/// app's own JSON.
///
/// A store keeps it with the session's record. It is in no token, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionLabel(Box<str>);

impl SessionLabel {
    /// The longest label: 512 bytes of JSON.
    pub const MAX_LEN: usize = 512;

    /// Creates a label from a value that serializes to JSON.
    ///
    /// # Errors
    /// If it does not serialize, or to more than [`MAX_LEN`](Self::MAX_LEN) bytes.
    pub fn new<T>(label: &T) -> Result<Self, LabelError>
    where
        T: Serialize + ?Sized,
    {
        let json = serde_json::to_string(label).map_err(|_| LabelError::NotJson)?;
        Self::checked(json)
    }

    /// Creates a label from JSON, such as what a store has kept.
    ///
    /// # Errors
    /// If it is not JSON, or longer than [`MAX_LEN`](Self::MAX_LEN) bytes.
    pub fn from_json(json: impl Into<String>) -> Result<Self, LabelError> {
        let json = RawValue::from_string(json.into()).map_err(|_| LabelError::NotJson)?;
        Self::checked(Box::<str>::from(json).into())
    }

    fn checked(json: String) -> Result<Self, LabelError> {
        if json.len() > Self::MAX_LEN {
            return Err(LabelError::TooLong { len: json.len() });
        }
        Ok(Self(json.into()))
    }

    /// Returns the label as JSON.
    #[must_use]
    pub const fn as_json(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionLabel(..)")
    }
}

/// Why a label is refused. It contains no part of the label, and no error of its serialization,
/// which may quote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabelError {
    /// The label is not JSON, or does not serialize to JSON.
    NotJson,
    /// The label is longer than [`SessionLabel::MAX_LEN`].
    #[non_exhaustive]
    TooLong {
        /// Its length in bytes of JSON.
        len: usize,
    },
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("the label is not JSON"),
            Self::TooLong { len } => {
                let max = SessionLabel::MAX_LEN;
                write!(f, "the label has {len} bytes of JSON: at most {max} are kept")
            }
        }
    }
}

impl Error for LabelError {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn p15_a_label_has_at_most_512_bytes_of_json() {
        let of = |len: usize| "x".repeat(len - 2);
        let longest = SessionLabel::new(&of(512)).expect("512 bytes");
        assert_eq!(longest.as_json().len(), 512);
        assert_eq!(SessionLabel::new(&of(513)), Err(LabelError::TooLong { len: 513 }));
        let escaped = SessionLabel::new(&"\u{1}".repeat(86));
        assert_eq!(escaped, Err(LabelError::TooLong { len: 518 }), "as JSON writes it");
        let kept = SessionLabel::from_json(longest.as_json());
        assert_eq!(kept.as_ref(), Ok(&longest));
        let spaced = format!("[{}]", " ".repeat(511));
        assert_eq!(SessionLabel::from_json(spaced), Err(LabelError::TooLong { len: 513 }));
    }

    #[test]
    fn a_label_is_kept_as_the_app_wrote_it() {
        for json in [r#"{"z":1,"a":2.50}"#, "null", "[]", r#""\u00e4""#, "1e400"] {
            let label = SessionLabel::from_json(json).expect("JSON");
            assert_eq!(label.as_json(), json);
        }
        let label = SessionLabel::new(&json!({ "device": "Laptop" })).expect("JSON");
        assert_eq!(label.as_json(), r#"{"device":"Laptop"}"#);
    }

    #[test]
    fn p10_what_is_not_json_is_refused_and_not_quoted() {
        for text in ["", "{", "secret", r#"{"a":1}x"#, "{'a':1}", "\"\n\""] {
            let error = SessionLabel::from_json(text).expect_err("not JSON");
            assert_eq!(error, LabelError::NotJson, "{text:?}");
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
        let keys = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert_eq!(SessionLabel::new(&keys), Err(LabelError::NotJson));
        let label = SessionLabel::new("secret").expect("JSON");
        assert_eq!(format!("{label:?}"), "SessionLabel(..)");
    }
}
