//! The lists of sessions: of a user, a subject, an account and everything. A list says where sessions
//! are; the record of each decides.

use std::sync::Arc;

use std::collections::HashSet;

use super::{
    Inner,
    answer::Args,
    bytes::{Reader, Writer},
    failure::Failure,
    join_all::join_all,
    record::Record,
    script::Script,
};
use crate::{
    identity::{Scope, SessionKeys, StoreKey},
    maybe_ready::StoreError,
    store::{
        ActiveUser, Cursor, ListQuery, Page, SessionRecord, node::GRACE, node::SharedStore as _,
    },
    time::Timestamp,
};

static INDEX: Script = Script::new(include_str!("scripts/index.lua"));

/// How many sessions of a list are read at the same time.
const PIECE: usize = 250;

/// Where to go on in a list.
pub(super) type After = Vec<u8>;

impl Inner {
    /// Puts a session into the lists of its scopes, and keeps its user for whoever knows only the
    /// session.
    pub(super) async fn list(
        &self,
        session: &SessionRecord,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let life = session.ends_at.since(session.auth_time.min(now)) + GRACE;
        let args = Args::new().bytes(place(session)).life(life).time(now).finish();
        let lists: Vec<_> = scopes_of(session).map(|scope| self.keys.list(scope)).collect();
        let adds = lists.iter().map(|keys| self.connection.run(&INDEX, keys, &args));
        let mut command = redis::cmd("SET");
        command.arg(self.keys.user_of(session.key)).arg(session.scopes.user.as_bytes());
        command.arg("PX").arg(Args::new().life(life).finish());
        self.connection.query(&command).await?;
        join_all(adds).await.into_iter().try_for_each(|added| added.map(drop))
    }

    /// Takes a session that has ended out of the lists of its scopes.
    pub(super) async fn unlist(&self, session: &SessionRecord) -> Result<(), Failure> {
        let commands: Vec<_> = scopes_of(session)
            .map(|scope| {
                let [list, _] = self.keys.list(scope);
                let mut command = redis::cmd("ZREM");
                command.arg(list).arg(place(session));
                command
            })
            .collect();
        let removals = commands.iter().map(|command| self.connection.query(command));
        join_all(removals).await.into_iter().try_for_each(|removed| removed.map(drop))
    }

    /// Returns the records of some sessions of a list, the latest sign-in first, and where to go on.
    pub(super) async fn list_piece(
        &self,
        scope: Scope,
        after: Option<After>,
    ) -> Result<(Vec<Record>, Option<After>), Failure> {
        let before = after.map_or_else(|| b"+".to_vec(), |after| [b"(", &after[..]].concat());
        let [list, _] = self.keys.list(scope);
        let places = self.latest(list, &before, PIECE).await?;
        let keys = places.iter().map(|place| keys_of(place)).collect::<Result<Vec<_>, _>>()?;
        let records = self.records_of(&keys).await?;
        let next = places.last().filter(|_| places.len() == PIECE).cloned();
        Ok((records, next))
    }

    pub(super) async fn sessions_page(
        self: &Arc<Self>,
        scope: Scope,
        query: ListQuery,
        now: Timestamp,
    ) -> Result<Page<SessionRecord>, StoreError> {
        let _in_flight = self.lists.acquire(scope.key()).await;
        self.sync_if_stale().await?;
        let mut after = query.cursor().map(|cursor| {
            let key = StoreKey::from_bytes(cursor.id.to_be_bytes());
            place_before(Timestamp::from_millis(cursor.at), key)
        });
        let mut sessions = Vec::new();
        loop {
            let (records, next) = self.list_piece(scope, after).await?;
            let records = records.into_iter().map(|record| record.session);
            sessions.extend(records.filter(|session| self.is_active(session, now)));
            after = next;
            if after.is_none() || sessions.len() > query.limit() as usize {
                break;
            }
        }
        let sessions = sessions.into_iter().map(|session| self.up_to_date(session)).collect();
        Ok(Page::new(sessions, &query, |session: &SessionRecord| {
            Cursor::new(session.auth_time.as_millis(), u128::from_be_bytes(*session.key.as_bytes()))
        }))
    }

    pub(super) async fn session_record(
        self: &Arc<Self>,
        session: StoreKey,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        self.sync_if_stale().await?;
        let record = self.record_of(session).await?.map(|record| record.session);
        let record = record.filter(|session| self.is_active(session, now));
        Ok(record.map(|session| self.up_to_date(session)))
    }

    pub(super) async fn active_users_of(
        self: &Arc<Self>,
        account: StoreKey,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<ActiveUser>, StoreError> {
        let _in_flight = self.lists.acquire(account).await;
        self.sync_if_stale().await?;
        let (mut users, mut seen, mut after) = (Vec::new(), HashSet::new(), None);
        while users.len() < limit as usize {
            let (records, next) = self.list_piece(Scope::Account(account), after).await?;
            for Record { session, .. } in records {
                if self.is_active(&session, now) && seen.insert(session.scopes.user) {
                    users.push(ActiveUser::new(session.sub, session.auth_time));
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        users.truncate(limit as usize);
        Ok(users)
    }
}

fn scopes_of(session: &SessionRecord) -> impl Iterator<Item = Scope> + use<> {
    let scopes = session.scopes;
    let account = scopes.account.map(Scope::Account);
    [Scope::User(scopes.user), Scope::Subject(scopes.subject), Scope::Everything(scopes.everything)]
        .into_iter()
        .chain(account)
}

/// What is in a list for a session: its sign-in and key, which order it, and its user.
fn place(session: &SessionRecord) -> Vec<u8> {
    let place = place_before(session.auth_time, session.key);
    Writer::new().bytes(&place).key(session.scopes.user).finish()
}

/// What comes right before the session in the order of the list.
fn place_before(auth_time: Timestamp, session: StoreKey) -> Vec<u8> {
    Writer::new().bytes(&auth_time.as_millis().to_be_bytes()).key(session).finish()
}

fn keys_of(place: &[u8]) -> Result<SessionKeys, Failure> {
    let mut reader = Reader::new(place);
    reader.bytes(8)?;
    Ok(SessionKeys::new(reader.key()?, reader.key()?))
}
