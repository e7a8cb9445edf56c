//! What Redis keeps of a session: its record among those of its user, its last activity alone, or its
//! tombstone. `scripts/user.lua` says where. The scripts read and write the first 35 bytes of a record at
//! fixed places, and the activity, which is its first 16.

use std::time::Duration;

use super::{
    bytes::{Reader, Writer},
    failure::Failure,
};
use crate::{
    identity::{Scopes, SessionKeys, StoreKey},
    store::{
        RefreshedSession, SessionLabel, SessionRecord, SuccessorIds, TokenExchange, node::Row,
    },
    time::Timestamp,
};

/// What `read` in `user.lua` begins its answer with.
const RECORD: u8 = 1;
const ACTIVITY: u8 = 2;
const TOMBSTONE: u8 = 3;

/// What an entry among the records of a user begins with.
const ENTRY: u8 = 0xff;

const BEGUN: u8 = 1;
const ADOPTED: u8 = 2;
const IN_ACCOUNT: u8 = 4;

/// What is known of a session.
pub(super) enum Stored {
    Record(Box<Record>),
    /// Known by its activity only.
    Activity {
        last_seen: Timestamp,
        idle: Duration,
    },
    Tombstone {
        until: Timestamp,
    },
}

/// The record of a session, and of its last exchange of a refresh token.
pub(super) struct Record {
    pub(super) session: SessionRecord,
    pub(super) refreshed: RefreshedSession,
    /// Whether the session began in this store.
    pub(super) is_begun: bool,
}

impl Record {
    pub(super) const fn new(session: SessionRecord, is_begun: bool) -> Self {
        let refreshed = RefreshedSession::new(session.last_seen);
        Self { session, refreshed, is_begun }
    }

    pub(super) fn pack(&self) -> Vec<u8> {
        let SessionRecord { sid, sub, tenant, profile, scopes, .. } = &self.session;
        let flags = if self.is_begun { BEGUN } else { 0 }
            | if self.session.is_adopted { ADOPTED } else { 0 }
            | if scopes.account.is_some() { IN_ACCOUNT } else { 0 };
        let exchange = self.refreshed.exchange.as_ref().map(pack_exchange).unwrap_or_default();
        let writer = Writer::new()
            .time(self.session.last_seen)
            .span(self.session.idle)
            .u32(self.refreshed.presented)
            .u32(self.refreshed.generation)
            .time(self.session.epoch)
            .time(self.session.ends_at)
            .byte(flags)
            .u16(u16::try_from(exchange.len()).unwrap_or(u16::MAX))
            .bytes(&exchange)
            .time(self.session.auth_time)
            .key(scopes.subject)
            .key(scopes.everything);
        let writer = scopes.account.into_iter().fold(writer, Writer::key);
        writer
            .name(sid)
            .name(sub)
            .maybe_name(tenant.as_deref())
            .maybe_name(profile.as_deref())
            .maybe_name(self.session.label.as_ref().map(SessionLabel::as_json))
            .finish()
    }
}

impl Stored {
    /// Reads what `read` in `user.lua` answers.
    pub(super) fn unpack(keys: SessionKeys, value: &[u8]) -> Result<Self, Failure> {
        let mut value = Reader::new(value);
        match value.byte()? {
            RECORD => Ok(Self::Record(Box::new(read_record(keys, value)?))),
            ACTIVITY => Ok(Self::Activity { last_seen: value.time()?, idle: value.span()? }),
            TOMBSTONE => Ok(Self::Tombstone { until: value.time()? }),
            _ => Err(Failure::malformed()),
        }
    }

    pub(super) const fn row(&self) -> Row {
        match self {
            Self::Record(record) => {
                Row::Active { last_seen: record.session.last_seen, idle: record.session.idle }
            }
            Self::Activity { last_seen, idle } => {
                Row::Active { last_seen: *last_seen, idle: *idle }
            }
            Self::Tombstone { until } => Row::Ended { until: *until },
        }
    }

    pub(super) fn record(self) -> Option<Record> {
        match self {
            Self::Record(record) => Some(*record),
            Self::Activity { .. } | Self::Tombstone { .. } => None,
        }
    }
}

/// Reads the records of a user.
pub(super) fn unpack_records(user: StoreKey, value: &[u8]) -> Result<Vec<Record>, Failure> {
    let (mut value, mut records) = (Reader::new(value), Vec::new());
    while !value.is_empty() {
        if value.byte()? != ENTRY {
            return Err(Failure::malformed());
        }
        let session = value.key()?;
        let record = value.u24().and_then(|length| value.bytes(length))?;
        records.push(read_record(SessionKeys::new(session, user), Reader::new(record))?);
    }
    Ok(records)
}

fn read_record(keys: SessionKeys, mut value: Reader<'_>) -> Result<Record, Failure> {
    let (last_seen, idle) = (value.time()?, value.span()?);
    let (presented, generation) = (value.u32()?, value.u32()?);
    let (epoch, ends_at, flags) = (value.time()?, value.time()?, value.byte()?);
    let length = value.u16()?;
    let exchange = value.bytes(length.into())?;
    let exchange = if exchange.is_empty() { None } else { Some(unpack_exchange(exchange)?) };
    let auth_time = value.time()?;
    let (subject, everything) = (value.key()?, value.key()?);
    let account = if flags & IN_ACCOUNT == 0 { None } else { Some(value.key()?) };
    let scopes = Scopes { user: keys.user, subject, account, everything };
    let (sid, sub) = (value.name()?, value.name()?);
    let (tenant, profile) = (value.maybe_name()?, value.maybe_name()?);
    let label = value.maybe_name()?.map(SessionLabel::from_json).transpose();
    let session = SessionRecord {
        tenant,
        profile,
        epoch,
        is_adopted: flags & ADOPTED != 0,
        last_seen,
        label: label.map_err(|_| Failure::malformed())?,
        ..SessionRecord::new(keys.session, sid, sub, scopes, auth_time, idle, ends_at)
    };
    let refreshed = RefreshedSession { last_seen, generation, exchange, presented };
    Ok(Record { session, refreshed, is_begun: flags & BEGUN != 0 })
}

pub(super) fn pack_exchange(exchange: &TokenExchange) -> Vec<u8> {
    let writer = Writer::new().time(exchange.at);
    match &exchange.successors {
        Some(successors) => writer.byte(1).name(&successors.access).name(&successors.refresh),
        None => writer.byte(0),
    }
    .finish()
}

fn unpack_exchange(bytes: &[u8]) -> Result<TokenExchange, Failure> {
    let mut reader = Reader::new(bytes);
    let at = reader.time()?;
    let successors = match reader.byte()? {
        0 => None,
        _ => Some(SuccessorIds::new(reader.name()?, reader.name()?)),
    };
    Ok(TokenExchange::new(at, successors))
}
