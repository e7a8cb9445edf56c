//! `POST /revoke-sessions`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{body::JsonBody, caller::Caller, failure::Failure};
use crate::{
    extract::{AllowedRange, FieldError, Json, Problem},
    store::Exempt,
};

/// The sessions to revoke. An unknown field is an error: a misspelled `scope` must not revoke more
/// sessions than the caller meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default)]
    scope: Target,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Target {
    #[default]
    All,
    Others,
}

#[derive(Serialize)]
pub(super) struct Revoked {
    revoked_count: u64,
}

pub(super) async fn revoke(
    caller: Caller,
    body: Result<JsonBody, Problem>,
) -> Result<Json<Revoked>, Failure> {
    // A user without an account may end each of its own sessions, so it may end all of them.
    let scope = match caller.tenant() {
        Some(_) => caller.owned_account()?.1,
        None => caller.own_scope(),
    };
    let Some(Request { scope: target }) = body?.object() else {
        return Err(invalid_scope().into());
    };
    let token = caller.session.token();
    let exempt = match target {
        Target::All => {
            caller.session.forbid_renewal();
            Exempt::None
        }
        Target::Others if caller.tenant().is_some() => Exempt::User(token.scopes().user),
        Target::Others => Exempt::Sessions(vec![token.session_key()]),
    };
    let revoked_count = caller.sessions.revoke_all(scope, exempt).actor(&caller.session).await?;
    Ok(Json(Revoked { revoked_count }))
}

fn invalid_scope() -> Problem {
    Problem::invalid_parameter(vec![FieldError {
        field: "scope".to_owned(),
        value: RawValue::NULL.to_owned(),
        allowed: AllowedRange::default(),
        message: "Invalid field `scope`: `all` or `others`, and no other field.".to_owned(),
    }])
}
