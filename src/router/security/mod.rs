//! `GET` and `PATCH /security`: an account's timeouts and its active users.

mod settings;
mod view;

use self::{
    settings::Settings,
    view::{ActiveUserView, Security},
};
use super::{body::JsonBody, caller::Caller, failure::Failure};
use crate::{
    extract::{Json, Problem},
    lifecycle::AccountPolicy,
};

/// The largest number of active users in a response.
const MAX_USERS: u32 = 500;

pub(super) async fn show(caller: Caller) -> Result<Json<Security>, Failure> {
    let (tenant, _) = caller.owned_account()?;
    let policy = caller.sessions.account_policy(tenant).await?;
    view(&caller, tenant, &policy).await
}

pub(super) async fn change(
    caller: Caller,
    body: Result<JsonBody, Problem>,
) -> Result<Json<Security>, Failure> {
    let (tenant, _) = caller.owned_account()?;
    let bounds = caller.sessions.account_policy(tenant).await?.bounds;
    let settings = Settings::read(&body?, &bounds).map_err(Problem::invalid_settings)?;
    let policy = caller
        .sessions
        .change_account_policy(tenant, |old| settings.applied_to(old))
        .actor(&caller.session)
        .await?;
    view(&caller, tenant, &policy).await
}

async fn view(
    caller: &Caller,
    tenant: &str,
    policy: &AccountPolicy,
) -> Result<Json<Security>, Failure> {
    let active = caller.sessions.active_users(tenant, MAX_USERS).await?;
    let subjects: Vec<&str> = active.iter().map(|user| &*user.sub).collect();
    let entries = caller.sessions.directory_entries(tenant, &subjects).await;
    let users = active.iter().map(|user| ActiveUserView::new(user, &entries)).collect();
    Ok(Json(Security::new(policy, caller.sessions.profiles().normal(), users)))
}
