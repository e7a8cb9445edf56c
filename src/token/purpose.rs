//! The purpose of a token, by its `typ`.

/// The purpose of a token. A token of one purpose is never accepted for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `typ` absent, `JWT` (RFC 7519 section 5.1) or `at+jwt` (RFC 9068).
    Access,
    /// `typ` `rt+jwt`.
    Refresh,
    /// `typ` `tk+jwt`.
    Ticket,
}

impl Purpose {
    /// The `typ` of tokens that are minted for it.
    pub(super) const fn typ(self) -> &'static str {
        match self {
            Self::Access => "JWT",
            Self::Refresh => "rt+jwt",
            Self::Ticket => "tk+jwt",
        }
    }

    /// Whether a token with this `typ` is for it: media types in any case, with or without
    /// `application/` (RFC 7515 section 4.1.9).
    pub(super) fn is_served_by(self, typ: Option<&str>) -> bool {
        let Some(typ) = typ else { return self == Self::Access };
        let named: &[&str] = match self {
            Self::Access => &["jwt", "at+jwt"],
            Self::Refresh => &["rt+jwt"],
            Self::Ticket => &["tk+jwt"],
        };
        let subtype = match typ.split_once('/') {
            Some((kind, subtype)) if kind.eq_ignore_ascii_case("application") => subtype,
            _ => typ,
        };
        named.iter().any(|named| subtype.eq_ignore_ascii_case(named))
    }
}
