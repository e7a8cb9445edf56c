//! The query parameters of a list.

use axum::extract::Query;
use axum_core::extract::FromRequestParts;
use http::request::Parts;
use serde::Deserialize;

use super::{caller::Caller, log_category::LogCategory};
use crate::{
    extract::{AllowedRange, FieldError, Problem},
    identity::Scope,
    store::ListQuery,
};

const DEFAULT_LIMIT: u32 = 20;

/// The valid parameters of a list.
pub(super) struct ListRequest {
    pub(super) query: ListQuery,
    pub(super) category: LogCategory,
    of_account: bool,
}

/// The parameters before validation. Other parameters are ignored.
#[derive(Deserialize)]
struct Parameters {
    limit: Option<String>,
    cursor: Option<String>,
    scope: Option<String>,
    category: Option<String>,
}

impl ListRequest {
    /// The scope of the list; an error if the account's is requested by a caller who does not own it.
    pub(super) fn scope(&self, caller: &Caller) -> Result<Scope, Problem> {
        if self.of_account { Ok(caller.owned_account()?.1) } else { Ok(caller.own_scope()) }
    }
}

impl TryFrom<Parameters> for ListRequest {
    type Error = Vec<FieldError>;

    fn try_from(parameters: Parameters) -> Result<Self, Vec<FieldError>> {
        let Parameters { limit, cursor, scope, category } = parameters;
        let mut errors = Vec::new();
        let mut invalid = |name: &str, value: &str, allowed: AllowedRange, why: &str| {
            let message = format!("Invalid query parameter `{name}`: {why}.");
            errors.push(FieldError::from_text(name, value, allowed, message));
        };
        let limit = limit.map_or(DEFAULT_LIMIT, |text| {
            let max = ListQuery::MAX_LIMIT;
            let why = match text.parse::<u32>() {
                Ok(0) => "at least 1".to_owned(),
                Ok(limit) if limit > max => format!("at most {max}"),
                Ok(limit) => return limit,
                Err(_) => format!("a whole number from 1 to {max}"),
            };
            invalid("limit", &text, AllowedRange::within(1, max.into()), &why);
            DEFAULT_LIMIT
        });
        let mut query = ListQuery::first(limit);
        if let Some(text) = cursor {
            match text.parse() {
                Ok(cursor) => query = query.after(cursor),
                Err(_) => invalid(
                    "cursor",
                    &text,
                    AllowedRange::default(),
                    "use the value of `next` in the previous page",
                ),
            }
        }
        let of_account = match scope.as_deref() {
            None | Some("own") => false,
            Some("account") => true,
            Some(other) => {
                invalid("scope", other, AllowedRange::default(), "`own` or `account`");
                false
            }
        };
        let category = category.map_or(LogCategory::Activity, |text| {
            text.parse().unwrap_or_else(|_| {
                let why = "`activity` or `security`";
                invalid("category", &text, AllowedRange::default(), why);
                LogCategory::Activity
            })
        });
        if errors.is_empty() { Ok(Self { query, category, of_account }) } else { Err(errors) }
    }
}

impl<S> FromRequestParts<S> for ListRequest
where
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let parameters: Query<Parameters> = Query::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::invalid_parameter(Vec::new()))?;
        parameters.0.try_into().map_err(Problem::invalid_parameter)
    }
}
