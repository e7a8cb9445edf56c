//! Folding: the many tombstones of a user become one.

use std::time::Duration;

use super::{
    Inner,
    answer::{Args, array, bytes},
    bytes::{Reader, Writer},
    failure::Failure,
    feed::{ATTEMPTS, Kept, Published},
    kept_change::{self, FeedChange},
    record::{Record, unpack_records},
    script::Script,
};
use crate::{
    identity::StoreKey,
    maybe_ready::StoreError,
    store::{
        FoldedTombstones,
        node::{Change, GRACE, STALE_AFTER},
        tombstone::MAX_PER_USER,
    },
    time::Timestamp,
};

static FOLD: Script =
    Script::new(concat!(include_str!("scripts/user.lua"), include_str!("scripts/fold.lua")));
static UNPIN: Script = Script::new(include_str!("scripts/unpin.lua"));

/// The most exemptions in one step.
const PIECE: usize = 500;

/// What is to be published of a fold.
pub(super) struct Fold {
    /// All that is folded of the user.
    folded: FoldedTombstones,
    /// The records of the user when it was folded.
    records: Vec<Record>,
    /// The sessions whose tombstones are folded.
    sessions: Vec<StoreKey>,
    /// What the feed keeps.
    kept: Vec<u8>,
}

impl Inner {
    /// Folds the tombstones of a user. The session that was the reason has ended whether or not it
    /// succeeds; the next one is a reason, too.
    pub(super) async fn fold_or_warn(&self, user: StoreKey, now: Timestamp) {
        if let Err(error) = self.fold(user, now).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the tombstones of a user were not folded");
        }
    }

    /// Folds the tombstones of a user, of sessions that began here, if there are too many. Exempts the user's
    /// other sessions: at the epochs that are folded every active one has a record.
    async fn fold(&self, user: StoreKey, now: Timestamp) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let Some(fold) = self.begin_fold(user, now).await? else { return Ok(()) };
            if self.publish_fold(user, now, fold).await? {
                return Ok(());
            }
        }
        Err(StoreError::new("the tombstones of a user were folded too often at the same time"))
    }

    /// Publishes what is folded, after the exemptions from it. Returns whether it did: not if another node has
    /// folded more meanwhile.
    pub(super) async fn publish_fold(
        &self,
        user: StoreKey,
        now: Timestamp,
        fold: Fold,
    ) -> Result<bool, StoreError> {
        let exemptions = fold.records.iter().filter_map(|it| self.exemption(it, fold.folded));
        let exemptions: Vec<_> = exemptions.collect();
        self.publish_exemptions(&exemptions).await?;
        self.apply_own(&exemptions);
        let folded = FeedChange::from(Change::Folded { user, folded: fold.folded });
        let sessions = fold.sessions.iter();
        let removed = sessions.map(|it| Change::TombstoneFolded { session: *it }.into());
        let changes: Vec<_> = std::iter::once(folded).chain(removed).collect();
        let kept = Kept::new(folded, fold.kept);
        if self.publish(&changes, &[kept], &[]).await? == Published::Changed {
            return Ok(false);
        }
        self.apply_own(&changes);
        let args = Args::new().time(now + self.sync_interval.saturating_mul(STALE_AFTER));
        let args = fold.sessions.iter().fold(args, |args, session| args.key(*session));
        self.connection.run(&UNPIN, &[self.keys.tombstones(user)], &args.finish()).await?;
        self.forget_users_of(fold.sessions.into_iter()).await?;
        Ok(true)
    }

    /// Says in the slot of the user what is folded. `None` if there is nothing to fold.
    pub(super) async fn begin_fold(
        &self,
        user: StoreKey,
        now: Timestamp,
    ) -> Result<Option<Fold>, Failure> {
        // Later than any exemption of a session that has ended.
        let at = (self.revocations.latest_exemption())
            .map_or(now, |latest| now.max(latest + Duration::from_millis(1)));
        let kept = self.kept(&[kept_change::folded(user)]).await?.concat();
        let known = match FeedChange::unpack(&kept)?.first() {
            Some(FeedChange::Known(Change::Folded { folded, .. })) => Some(*folded),
            _ => None,
        };
        let own = self.revocations.folded_of(&user).filter(|own| now < own.until);
        if own.is_some_and(|own| known.is_none_or(|known| known.merge(own) != known)) {
            // Redis has lost it. Records may be lost, too, as the next reading finds.
            return Ok(None);
        }
        let known = known.map(|FoldedTombstones { first, last, at, until }| {
            Writer::new().time(first).time(last).time(at).time(until).finish()
        });
        let args = Args::new().time(now).span(GRACE).number(MAX_PER_USER as u64).time(at);
        let args = args.time(self.latest_lost_epoch()).bytes(known.unwrap_or_default()).finish();
        let keys = [self.keys.records(user), self.keys.tombstones(user)];
        let mut answer = array(self.connection.run(&FOLD, &keys, &args).await?)?.into_iter();
        let (Some(folded), Some(records)) = (answer.next(), answer.next()) else { return Ok(None) };
        let folded = bytes(folded)?;
        let mut reader = Reader::new(&folded);
        let (first, last) = (reader.time()?, reader.time()?);
        Ok(Some(Fold {
            folded: FoldedTombstones::new(first, last, reader.time()?, reader.time()?),
            records: unpack_records(user, &bytes(records)?)?,
            sessions: answer.map(|it| Reader::new(&bytes(it)?).key()).collect::<Result<_, _>>()?,
            kept,
        }))
    }

    /// The exemption from a fold that a session of the user needs which is not revoked.
    fn exemption(&self, record: &Record, folded: FoldedTombstones) -> Option<FeedChange> {
        let session = &record.session;
        let is_reached = (folded.first..=folded.last).contains(&session.epoch);
        let revoked_by = self.revocations.revoked_by(session.key, session.epoch, || session.scopes);
        (is_reached && revoked_by.is_none()).then(|| {
            let FoldedTombstones { at, until, .. } = folded;
            Change::Exempt { session: session.key, at, until }.into()
        })
    }

    /// Publishes exemptions, and keeps them.
    pub(super) async fn publish_exemptions(
        &self,
        exemptions: &[FeedChange],
    ) -> Result<(), StoreError> {
        for piece in exemptions.chunks(PIECE) {
            self.publish_and_keep(piece, piece.len(), &[]).await?;
        }
        Ok(())
    }
}
