//! `GET` and `PATCH /security`: what an account's owner decides, and who is signed in.

mod settings;
mod view;

use self::{
    settings::{Settings, errors},
    view::{Security, SignedIn},
};
use super::{
    body::JsonBody,
    caller::Caller,
    failure::{Failure, Problem},
    reply::Reply,
};
use crate::lifecycle::{AccountPolicy, AccountPolicyError};

/// The most active users that are listed.
const MOST_USERS: u32 = 500;

pub(super) async fn show(caller: Caller) -> Result<Reply<Security>, Failure> {
    let (tenant, _) = caller.owned_account()?;
    let policy = caller.sessions.account_policy(tenant).await?;
    view(&caller, tenant, &policy).await
}

pub(super) async fn change(
    caller: Caller,
    body: Result<JsonBody, Problem>,
) -> Result<Reply<Security>, Failure> {
    let (tenant, _) = caller.owned_account()?;
    let bounds = caller.sessions.account_policy(tenant).await?.bounds;
    let settings = Settings::read(&body?, &bounds).map_err(Problem::invalid_settings)?;
    let changed = caller.sessions.change_account_policy(tenant, |old| settings.applied(old)).await;
    match changed {
        Ok(policy) => view(&caller, tenant, &policy).await,
        Err(AccountPolicyError::OutOfBounds(violations)) => {
            Err(Problem::invalid_settings(errors(&violations)).into())
        }
        Err(AccountPolicyError::Unavailable(rejection)) => Err(rejection.into()),
    }
}

async fn view(
    caller: &Caller,
    tenant: &str,
    policy: &AccountPolicy,
) -> Result<Reply<Security>, Failure> {
    let active = caller.sessions.active_users(tenant, MOST_USERS).await?;
    let subjects: Vec<&str> = active.iter().map(|user| &*user.sub).collect();
    let entries = caller.sessions.directory_entries(tenant, &subjects).await;
    let users = active.iter().map(|user| SignedIn::new(user, &entries)).collect();
    Ok(Reply(Security::new(policy, caller.sessions.profiles().normal(), users)))
}
