//! The value of a session: its record, its last activity alone, or its tombstone. The scripts in
//! `scripts/` read and write the first part of it at fixed places.

use std::time::Duration;

use super::{
    bytes::{Reader, Writer},
    failure::Failure,
};
use crate::{
    identity::{Scopes, StoreKey},
    store::{
        RefreshedSession, SessionLabel, SessionRecord, SuccessorIds, TokenExchange, node::Row,
    },
    time::Timestamp,
};

const RECORD: u8 = 1;
const ACTIVITY: u8 = 2;
const TOMBSTONE: u8 = 3;

const BEGUN: u8 = 1;
const ADOPTED: u8 = 2;

/// The value of a session.
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
            | if self.session.is_adopted { ADOPTED } else { 0 };
        let exchange = self.refreshed.exchange.as_ref().map(pack_exchange).unwrap_or_default();
        Writer::new()
            .byte(RECORD)
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
            .key(scopes.user)
            .key(scopes.subject)
            .maybe_key(scopes.account)
            .key(scopes.everything)
            .text(sid)
            .text(sub)
            .maybe_text(tenant.as_deref())
            .maybe_text(profile.as_deref())
            .maybe_text(self.session.label.as_ref().map(SessionLabel::as_json))
            .finish()
    }
}

impl Stored {
    pub(super) fn unpack(key: StoreKey, value: &[u8]) -> Result<Self, Failure> {
        let mut value = Reader::new(value);
        let state = value.byte()?;
        let at = value.time()?;
        match state {
            RECORD => Ok(Self::Record(Box::new(read_record(key, at, &mut value)?))),
            ACTIVITY => Ok(Self::Activity { last_seen: at, idle: value.span()? }),
            TOMBSTONE => Ok(Self::Tombstone { until: at }),
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

fn read_record(
    key: StoreKey,
    last_seen: Timestamp,
    value: &mut Reader<'_>,
) -> Result<Record, Failure> {
    let idle = value.span()?;
    let (presented, generation) = (value.u32()?, value.u32()?);
    let (epoch, ends_at, flags) = (value.time()?, value.time()?, value.byte()?);
    let length = value.u16()?;
    let exchange = value.bytes(length.into())?;
    let exchange = if exchange.is_empty() { None } else { Some(unpack_exchange(exchange)?) };
    let auth_time = value.time()?;
    let scopes = Scopes {
        user: value.key()?,
        subject: value.key()?,
        account: value.maybe_key()?,
        everything: value.key()?,
    };
    let (sid, sub) = (value.text()?, value.text()?);
    let (tenant, profile) = (value.maybe_text()?, value.maybe_text()?);
    let label = value.maybe_text()?.map(SessionLabel::from_json).transpose();
    let session = SessionRecord {
        tenant,
        profile,
        epoch,
        is_adopted: flags & ADOPTED != 0,
        last_seen,
        label: label.map_err(|_| Failure::malformed())?,
        ..SessionRecord::new(key, sid, sub, scopes, auth_time, idle, ends_at)
    };
    let refreshed = RefreshedSession { last_seen, generation, exchange, presented };
    Ok(Record { session, refreshed, is_begun: flags & BEGUN != 0 })
}

pub(super) fn pack_exchange(exchange: &TokenExchange) -> Vec<u8> {
    let writer = Writer::new().time(exchange.at);
    match &exchange.successors {
        Some(successors) => writer.byte(1).text(&successors.access).text(&successors.refresh),
        None => writer.byte(0),
    }
    .finish()
}

fn unpack_exchange(bytes: &[u8]) -> Result<TokenExchange, Failure> {
    let mut reader = Reader::new(bytes);
    let at = reader.time()?;
    let successors = match reader.byte()? {
        0 => None,
        _ => Some(SuccessorIds::new(reader.text()?, reader.text()?)),
    };
    Ok(TokenExchange::new(at, successors))
}
