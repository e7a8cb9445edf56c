//! The class of a request: `User` counts as activity, `Background` does not, `Public` needs no
//! session.
//!
//! ```
//! use tower_sliding_session::request_class::{Classify, Methods, PathRules, subtree};
//!
//! let rules = PathRules::new()
//!     .public("/login")
//!     .background(subtree("/documents/paginated"))
//!     .compile()?;
//! let classes = rules.otherwise(Methods::reads_are_background());
//! # drop(classes);
//! # Ok::<(), tower_sliding_session::request_class::PathRulesError>(())
//! ```

mod activity;
mod activity_header;
mod class;
mod classify;
mod head;
mod header_occurrence;
mod methods;
mod path_rules;
mod request_headers;
mod user_if_declared;

#[cfg(feature = "client")]
pub(crate) use self::activity_header::says_background;
pub use self::{
    activity::Activity,
    class::RequestClass,
    classify::{Classify, Otherwise},
    head::RequestHead,
    header_occurrence::HeaderOccurrence,
    methods::Methods,
    path_rules::{CompiledPathRules, PathPattern, PathRules, PathRulesError, subtree},
};
pub(crate) use self::{
    activity::named_or_declared, activity_header::SESSION_ACTIVITY,
    request_headers::RequestHeaders, user_if_declared::UserIfDeclared,
};
