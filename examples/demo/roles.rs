//! The roles of the demo's users: a table of its own, which the claims source reads.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Extension, Json, extract::State, http::StatusCode, response::IntoResponse};
use serde::Deserialize;
use serde_json::{Value, json};
use tower_sliding_session::{
    MaybeReady, Session, SlidingSessions,
    store::StoreError,
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
};

/// The role of a user who has none in the table.
const DEFAULT: &str = "reader";

/// The longest role, in bytes.
const MAX_ROLE: usize = 32;

/// Whoever runs the demo for everybody keeps no more roles than this.
const MAX_USERS: usize = 10_000;

/// The role of each user whose role was changed, by `sub`.
#[derive(Clone, Default)]
pub(crate) struct Roles(Arc<Mutex<HashMap<String, String>>>);

impl Roles {
    fn role_of(&self, sub: &str) -> String {
        let roles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        roles.get(sub).map_or(DEFAULT, String::as_str).to_owned()
    }

    /// Returns `false` if the table is full.
    fn set(&self, sub: &str, role: String) -> bool {
        let mut roles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = roles.len() < MAX_USERS || roles.contains_key(sub);
        if has_room {
            roles.insert(sub.to_owned(), role);
        }
        has_room
    }
}

impl ClaimsSource for Roles {
    fn current_claims(&self, token: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        let role = self.role_of(&token.claims().sub);
        let claims = ClaimsUpdate::replace(&json!({ "role": role }));
        MaybeReady::ready(claims.map_err(StoreError::new))
    }
}

/// The role in the token of `session`.
pub(crate) fn role_of(session: &Session) -> Value {
    session.claims::<Value>().map_or(Value::Null, |claims| claims["role"].clone())
}

#[derive(Deserialize)]
pub(crate) struct NewRole {
    role: String,
}

/// `POST /role`: changes the role of the signed-in user in the table. The next request of each of the
/// user's sessions has it. An app asks first whether the user may do this.
pub(crate) async fn change(
    State(sessions): State<SlidingSessions>,
    Extension(roles): Extension<Roles>,
    session: Session,
    Json(NewRole { role }): Json<NewRole>,
) -> axum::response::Result<impl IntoResponse> {
    let is_word = role.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if role.is_empty() || role.len() > MAX_ROLE || !is_word {
        return Err(
            (StatusCode::UNPROCESSABLE_ENTITY, "Enter a role of letters and digits.").into()
        );
    }
    let changed = json!({ "role": role });
    if !roles.set(session.subject(), role) {
        return Err((StatusCode::INSUFFICIENT_STORAGE, "The table of roles is full.").into());
    }
    let user = sessions.user_scope(session.session_claims().tenant.as_deref(), session.subject());
    sessions.claims_changed(user).actor(&session).await?;
    Ok(Json(changed))
}
