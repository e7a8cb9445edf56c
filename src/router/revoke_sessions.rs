//! `POST /revoke-sessions`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{body::JsonBody, caller::Caller, failure::Failure};
use crate::{
    extract::{AllowedRange, FieldError, Json, Problem},
    store::{CallerSession, Exempt},
};

/// The sessions to revoke. An unknown field is an error: a misspelled `scope` must not revoke more
/// sessions than the caller meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default)]
    scope: Target,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Target {
    /// The sessions of the account, for its owner; without an account those of the caller.
    #[default]
    All,
    /// The same, but for the owner's own sessions; without an account but for the presented one.
    Others,
    /// The sessions of the caller.
    Mine,
    /// The sessions of the caller, but for the presented one.
    MyOthers,
}

#[derive(Serialize)]
pub(super) struct Revoked {
    revoked_count: u64,
}

pub(super) async fn revoke(
    caller: Caller,
    body: Result<JsonBody, Problem>,
) -> Result<Json<Revoked>, Failure> {
    let Some(Request { scope: target }) = body?.object() else {
        return Err(invalid_scope().into());
    };
    let scope = match (target, caller.tenant()) {
        (Target::All | Target::Others, Some(_)) => caller.owned_account()?.1,
        _ => caller.own_scope(),
    };
    let session = CallerSession::from(&caller.session);
    let exempt = match target {
        Target::All | Target::Mine => {
            caller.session.forbid_renewal();
            Exempt::None
        }
        Target::Others if caller.tenant().is_some() => Exempt::UserOfCaller(session),
        Target::Others | Target::MyOthers => Exempt::Caller(session),
    };
    let revoked_count = caller.sessions.revoke_all(scope, exempt).actor(&caller.session).await?;
    Ok(Json(Revoked { revoked_count }))
}

fn invalid_scope() -> Problem {
    Problem::invalid_parameter(vec![FieldError {
        field: "scope".to_owned(),
        value: RawValue::NULL.to_owned(),
        allowed: AllowedRange::default(),
        message: "Invalid field `scope`: `all`, `others`, `mine` or `my_others`, and no other \
                  field."
            .to_owned(),
    }])
}
