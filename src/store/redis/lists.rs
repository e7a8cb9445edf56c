//! Where sessions are. The sessions of a user are together; a bucket says which user a session is of, and
//! another which users a subject is; those of an account, and of everything, are in lists. All of them
//! only say where to look: the record of each session decides.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::{join_all, try_join_all, try_join3};

use super::{
    Inner,
    answer::{Args, array, int, maybe_bytes},
    bytes::{Reader, Writer},
    failure::{Failure, FailureKind},
    record::{Record, unpack_records},
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
static PLACE: Script = Script::new(include_str!("scripts/place.lua"));

/// How many sessions of a list are read at the same time.
const PIECE: usize = 250;

/// The length of what a bucket says of one user: its key, and the second until which it counts.
const PLACE_LENGTH: usize = 20;

const NO_LIST: &str = "no list of all sessions is kept: see `RedisStoreBuilder::list_everything`";

/// Where to go on in a list.
pub(super) type After = Vec<u8>;

/// How many commands are sent at the same time, one for each user of a cluster.
const COMMANDS_AT_ONCE: usize = 64;

impl Inner {
    /// Lets a session be found by each of its scopes, and by whoever knows only the session.
    pub(super) async fn list(
        &self,
        session: &SessionRecord,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let life = session.ends_at.since(session.auth_time.min(now)) + GRACE;
        let args = Args::new().bytes(place(session)).life(life).time(now).time(session.epoch);
        let args = args.finish();
        let lists: Vec<_> = self.lists_of(session).map(|scope| self.keys.list(scope)).collect();
        let adds = lists.iter().map(|keys| self.connection.run(&INDEX, keys, &args));
        let (user, until) = (session.scopes.user, session.ends_at + GRACE);
        let by_session = self.keys.users_by_session(session.key);
        let by_session = self.place(by_session, session.key, user, now, until);
        let subject = session.scopes.subject;
        let by_subject = self.keys.users_by_subject(subject);
        let by_subject = self.place(by_subject, subject, user, now, until);
        try_join3(by_session, by_subject, try_join_all(adds)).await.map(drop)
    }

    /// Says in a bucket that a session or subject is, or may be, the one of `user` until an instant.
    pub(super) async fn place(
        &self,
        bucket: Vec<u8>,
        key: StoreKey,
        user: StoreKey,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), Failure> {
        // Four bytes: what lasts longer lasts for ever.
        let (until_secs, now_secs) = (until.as_secs(), now.as_secs());
        let (last, latest) = (u32::MAX.into(), u64::from(u32::MAX - 1));
        let args = Args::new().key(key).key(user).number(until_secs.min(last));
        let args = args.number(now_secs.min(latest));
        let args = args.life(until.since(now.min(until))).finish();
        self.connection.run(&PLACE, &[bucket], &args).await.map(drop)
    }

    /// Returns the users that a bucket says for a session or subject, the latest last.
    pub(super) async fn users_in(
        &self,
        bucket: Vec<u8>,
        key: StoreKey,
    ) -> Result<Vec<StoreKey>, Failure> {
        let mut command = redis::cmd("HGET");
        command.arg(bucket).arg(key.as_bytes());
        let users = maybe_bytes(self.connection.query(&command).await?)?.unwrap_or_default();
        users.chunks(PLACE_LENGTH).map(|user| Reader::new(user).key()).collect()
    }

    /// Returns the users that a subject is, in all accounts.
    pub(super) async fn subject_users(&self, subject: StoreKey) -> Result<Vec<StoreKey>, Failure> {
        self.users_in(self.keys.users_by_subject(subject), subject).await
    }

    /// Fails if there is no list of everything.
    pub(super) fn check_everything(&self) -> Result<(), Failure> {
        if self.lists_everything {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Answered, NO_LIST))
    }

    /// Takes a session that has ended out of the lists of its scopes.
    pub(super) async fn unlist(&self, session: &SessionRecord) -> Result<(), Failure> {
        let removal = |scope| {
            let [list, _] = self.keys.list(scope);
            let mut command = redis::cmd("ZREM");
            command.arg(list).arg(place(session));
            command
        };
        let commands: Vec<_> = self.lists_of(session).map(removal).collect();
        let removals = commands.iter().map(|command| self.connection.query(command));
        join_all(removals).await.into_iter().try_for_each(|removed| removed.map(drop))
    }

    /// Forgets which user sessions are of whose tombstones are folded.
    pub(super) async fn forget_users_of(
        &self,
        sessions: impl Iterator<Item = StoreKey>,
    ) -> Result<(), Failure> {
        let removal = |session: StoreKey| {
            let mut command = redis::cmd("HDEL");
            command.arg(self.keys.users_by_session(session)).arg(session.as_bytes());
            command
        };
        let commands: Vec<_> = sessions.map(removal).collect();
        let removals = commands.iter().map(|command| self.connection.query(command));
        join_all(removals).await.into_iter().try_for_each(|removed| removed.map(drop))
    }

    /// The scopes of a session that have a list.
    fn lists_of(&self, session: &SessionRecord) -> impl Iterator<Item = Scope> + use<> {
        let everything = self.lists_everything.then_some(session.scopes.everything);
        let account = session.scopes.account.map(Scope::Account);
        account.into_iter().chain(everything.map(Scope::Everything))
    }

    /// Returns the records of some sessions of a scope, the latest sign-in first, and where to go on.
    pub(super) async fn list_piece(
        &self,
        scope: Scope,
        after: Option<After>,
    ) -> Result<(Vec<Record>, Option<After>), Failure> {
        let users = match scope {
            Scope::User(user) => vec![user],
            Scope::Subject(subject) => self.subject_users(subject).await?,
            Scope::Account(_) => return self.listed_piece(scope, after).await,
            Scope::Everything(_) => {
                self.check_everything()?;
                return self.listed_piece(scope, after).await;
            }
        };
        let records = self.records_of_users(&users).await?.into_values().flatten();
        let is_next = |record: &Record| {
            let place = place(&record.session);
            after.as_ref().is_none_or(|after| place[..] < after[..])
        };
        let mut records: Vec<_> = records.filter(is_next).collect();
        records.sort_by_cached_key(|record| Reverse(place(&record.session)));
        Ok((records, None))
    }

    async fn listed_piece(
        &self,
        scope: Scope,
        after: Option<After>,
    ) -> Result<(Vec<Record>, Option<After>), Failure> {
        let before = after.map_or_else(|| b"+".to_vec(), |after| [b"(", &after[..]].concat());
        let [list, _] = self.keys.list(scope);
        let places = self.latest(list, &before, PIECE).await?;
        let keys = places.iter().map(|place| keys_of(place)).collect::<Result<Vec<_>, _>>()?;
        let users: Vec<_> = keys.iter().map(|keys| keys.user).collect();
        let mut of_users = self.records_of_users(&users).await?;
        let records = keys.iter().filter_map(|keys| {
            let of_user = of_users.get_mut(keys.user.as_bytes())?;
            let at = of_user.iter().position(|record| record.session.key == keys.session)?;
            Some(of_user.swap_remove(at))
        });
        let records = records.collect();
        let next = places.last().filter(|_| places.len() == PIECE).cloned();
        Ok((records, next))
    }

    /// Returns the latest epoch of the sessions of a scope that are listed, or an instant that is as late.
    pub(super) async fn latest_epoch(&self, scope: Scope) -> Result<Option<Timestamp>, Failure> {
        match scope {
            Scope::User(_) | Scope::Subject(_) => {
                let (records, _) = self.list_piece(scope, None).await?;
                Ok(records.iter().map(|record| record.session.epoch).max())
            }
            Scope::Everything(_) if !self.lists_everything => {
                let reached = self.revocations.latest_reached();
                Ok(reached.map(|reached| reached + Duration::from_millis(1)))
            }
            Scope::Account(_) | Scope::Everything(_) => {
                let [_, of_list] = self.keys.list(scope);
                let mut command = redis::cmd("HGET");
                command.arg(of_list).arg("epoch");
                let epoch = maybe_bytes(self.connection.query(&command).await?)?;
                let epoch = epoch.and_then(|epoch| std::str::from_utf8(&epoch).ok()?.parse().ok());
                Ok(epoch.map(Timestamp::from_millis))
            }
        }
    }

    /// Returns how many sessions a list has after a place in its order.
    pub(super) async fn count_after(&self, scope: Scope, place: &After) -> Result<u64, Failure> {
        let [list, _] = self.keys.list(scope);
        let mut command = redis::cmd("ZLEXCOUNT");
        command.arg(list).arg("-").arg([b"(", &place[..]].concat());
        Ok(int(&self.connection.query(&command).await?)?.unsigned_abs())
    }

    /// Returns the records of users, by the users.
    async fn records_of_users(
        &self,
        users: &[StoreKey],
    ) -> Result<HashMap<[u8; 16], Vec<Record>>, Failure> {
        let users: HashSet<_> = users.iter().map(StoreKey::as_bytes).collect();
        let users: Vec<_> = users.into_iter().copied().collect();
        // A command to a cluster has keys of one slot.
        let at_once = if self.connection.is_cluster() { 1 } else { users.len().max(1) };
        let mut records = HashMap::new();
        for piece in users.chunks(at_once.saturating_mul(COMMANDS_AT_ONCE)) {
            let reads = piece.chunks(at_once).map(|users| async move {
                let mut command = redis::cmd("MGET");
                for user in users {
                    command.arg(self.keys.records(StoreKey::from_bytes(*user)));
                }
                array(self.connection.query(&command).await?)
            });
            let mut values = Vec::with_capacity(piece.len());
            for read in join_all(reads).await {
                values.extend(read?);
            }
            for (user, value) in piece.iter().zip(values) {
                if let Some(value) = maybe_bytes(value)? {
                    records.insert(*user, unpack_records(StoreKey::from_bytes(*user), &value)?);
                }
            }
        }
        Ok(records)
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
