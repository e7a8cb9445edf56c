//! The users of two accounts. Yours are in a database.

use serde::{Deserialize, Serialize};
use tower_sliding_session::{
    MaybeReady, Session,
    lifecycle::{DirectoryEntry, UserDirectory},
    store::StoreError,
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
};

pub(crate) struct Person {
    pub(crate) user: &'static str,
    pub(crate) name: &'static str,
    email: &'static str,
    pub(crate) account: &'static str,
    pub(crate) role: &'static str,
}

const PEOPLE: [Person; 3] = [
    Person {
        user: "ada",
        name: "Ada Lovelace",
        email: "ada@acme.example",
        account: "acme",
        role: "owner",
    },
    Person {
        user: "bob",
        name: "Bob Hopper",
        email: "bob@acme.example",
        account: "acme",
        role: "engineer",
    },
    Person {
        user: "eve",
        name: "Eve Sutherland",
        email: "eve@globex.example",
        account: "globex",
        role: "owner",
    },
];

pub(crate) fn find(user: &str) -> Option<&'static Person> {
    PEOPLE.iter().find(|person| person.user == user)
}

/// The application's claim.
#[derive(Serialize, Deserialize)]
pub(crate) struct Role<'a> {
    pub(crate) role: &'a str,
}

pub(crate) fn is_owner(session: &Session) -> bool {
    session.claims::<Role>().is_ok_and(|claims| claims.role == "owner")
}

/// Reads the current role of a user at each renewal.
pub(crate) struct Roles;

impl ClaimsSource for Roles {
    fn current_claims(&self, token: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        let update = match find(&token.claims().sub) {
            Some(person) => ClaimsUpdate::replace(&Role { role: person.role }),
            None => Ok(ClaimsUpdate::End),
        };
        MaybeReady::ready(update.map_err(StoreError::new))
    }
}

pub(crate) struct Directory;

impl UserDirectory for Directory {
    fn entries(&self, tenant: &str, subjects: &[&str]) -> MaybeReady<Vec<DirectoryEntry>> {
        let members = PEOPLE.iter().filter(|person| person.account == tenant);
        let asked = members.filter(|person| subjects.contains(&person.user));
        let entries = asked.map(|person| DirectoryEntry {
            subject: person.user.to_owned(),
            name: person.name.to_owned(),
            email: person.email.to_owned(),
        });
        MaybeReady::ready(Ok(entries.collect()))
    }
}
