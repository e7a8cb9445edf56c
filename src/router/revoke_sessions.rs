//! `POST /revoke-sessions`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    body::JsonBody,
    caller::Caller,
    failure::{Bound, Failure, FieldError, Problem},
    reply::Reply,
};
use crate::store::Exempt;

/// Whose sessions end. A name that is not listed is an error: a slip of the pen must not end more
/// than was meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    scope: Whose,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Whose {
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
) -> Result<Reply<Revoked>, Failure> {
    // Without an account there is nobody else to decide for, and each of its own sessions the
    // caller could end anyway.
    let scope = match caller.tenant() {
        Some(_) => caller.owned_account()?.1,
        None => caller.own_scope(),
    };
    let Some(Asked { scope: whose }) = body?.object() else { return Err(unknown().into()) };
    let token = caller.session.token();
    let exempt = match whose {
        Whose::All => {
            caller.session.forbid_renewal();
            Exempt::None
        }
        Whose::Others if caller.tenant().is_some() => Exempt::User(token.scopes().user),
        Whose::Others => Exempt::Sessions(vec![token.session_key()]),
    };
    let revoked_count = caller.sessions.revoke_all(scope, exempt).await?;
    Ok(Reply(Revoked { revoked_count }))
}

fn unknown() -> Problem {
    Problem::invalid_parameter(vec![FieldError {
        field: "scope".to_owned(),
        value: RawValue::NULL.to_owned(),
        bound: Bound::default(),
        message: "a scope is `all` or `others`, and the only field".to_owned(),
    }])
}
