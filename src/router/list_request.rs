//! Which piece of which list is asked for.

use axum::extract::Query;
use axum_core::extract::FromRequestParts;
use http::request::Parts;
use serde::Deserialize;

use super::{
    caller::Caller,
    failure::{Bound, FieldError, Problem},
};
use crate::{audit::LogCategory, identity::Scope, store::ListQuery};

const DEFAULT_LIMIT: u32 = 20;

/// The parameters of a list.
pub(super) struct ListRequest {
    pub(super) query: ListQuery,
    pub(super) category: LogCategory,
    of_account: bool,
}

/// The parameters as they come. A name that is not listed means nothing here.
#[derive(Deserialize)]
struct Parameters {
    limit: Option<String>,
    cursor: Option<String>,
    scope: Option<String>,
    category: Option<String>,
}

impl ListRequest {
    /// What is asked for; for the account only where the caller may.
    pub(super) fn scope(&self, caller: &Caller) -> Result<Scope, Problem> {
        if self.of_account { Ok(caller.owned_account()?.1) } else { Ok(caller.own_scope()) }
    }
}

impl TryFrom<Parameters> for ListRequest {
    type Error = Vec<FieldError>;

    fn try_from(parameters: Parameters) -> Result<Self, Vec<FieldError>> {
        let Parameters { limit, cursor, scope, category } = parameters;
        let mut errors = Vec::new();
        let most = ListQuery::MAX_LIMIT;
        let limit = limit.map_or(DEFAULT_LIMIT, |text| match text.parse() {
            Ok(limit) if (1..=most).contains(&limit) => limit,
            _ => {
                let message = format!("a limit is a whole number from 1 to {most}");
                let bound = Bound::within(1, most.into());
                errors.push(FieldError::from_text("limit", &text, bound, message));
                DEFAULT_LIMIT
            }
        });
        let mut query = ListQuery::first(limit);
        let mut wrong = |field: &str, value: &str, message: String| {
            errors.push(FieldError::from_text(field, value, Bound::default(), message));
        };
        if let Some(text) = cursor {
            match text.parse() {
                Ok(cursor) => query = query.after(cursor),
                Err(error) => wrong("cursor", &text, format!("{error}")),
            }
        }
        let of_account = match scope.as_deref() {
            None | Some("own") => false,
            Some("account") => true,
            Some(other) => {
                wrong("scope", other, "a scope is `own` or `account`".to_owned());
                false
            }
        };
        let category = category.map_or(LogCategory::Activity, |text| {
            text.parse().unwrap_or_else(|error| {
                wrong("category", &text, format!("{error}"));
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
