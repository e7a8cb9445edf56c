//! The feed, and what is kept of it, when several nodes publish.

use super::{nodes::*, *};
use crate::policy::TimeoutOverrides;
use crate::store::{
    FoldedTombstones, RevocationCutoff,
    node::Change,
    redis::{
        feed::{Kept, Published},
        kept_change::FeedChange,
    },
};

fn cutoff(minutes: u32) -> FeedChange {
    let at = NOW + minutes * Duration::from_secs(60);
    let cutoff = RevocationCutoff::new(at, NOW + DAY);
    Change::Cutoff { scope: scopes().everything, cutoff }.into()
}

#[tokio::test]
async fn p22_what_another_node_has_kept_meanwhile_is_not_replaced() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let feed = || server.command(&["XLEN", "tss:{g}:f"]);
    // Both have read that nothing is kept.
    let publish = async |change: FeedChange| {
        let kept = [Kept::new(change, Vec::new())];
        node.0.publish(&[change], &kept, &[]).await.map_err(StoreError::from)
    };
    assert!(publish(cutoff(2)).await.expect("the server answers") == Published::Done);
    assert!(publish(cutoff(1)).await.expect("the server answers") == Published::Changed);
    assert_eq!(feed(), "1");
    let kept = node.0.kept(&[cutoff(1).field()]).await.map_err(StoreError::from);
    assert_eq!(kept.expect("the server answers").concat(), cutoff(2).pack());
    assert!(publish(cutoff(2)).await.expect("the server answers") == Published::Already);
    assert_eq!(feed(), "1");
}

/// As a promoted replica that lacks entries: the server, and what else it keeps, are the same.
#[tokio::test]
async fn p22_a_feed_that_goes_back_has_lost_entries() {
    let feed = "local feed, seq = KEYS[1], KEYS[2] redis.call('DEL', feed)";
    let add =
        |id: &str, number| format!("redis.call('XADD', feed, '{id}', 's', {number}, 'c', '')");
    for lost in [
        // The last one is missing.
        "redis.call('SET', seq, 1)".to_owned(),
        // Another one has its number.
        add("1-1", 2),
        // Others have followed.
        format!("{} {} redis.call('SET', seq, 3)", add("*", 2), add("*", 3)),
    ] {
        let server = RedisServer::start();
        let node = node(&server).await;
        for minutes in [1, 2] {
            let published = node.0.publish(&[cutoff(minutes)], &[], &[]).await;
            published.map_err(StoreError::from).expect("the server answers");
        }
        node.0.sync_now().await.expect("the server answers");
        node.0.check_refresh().expect("nothing is lost");
        server.command(&["EVAL", &format!("{feed} {lost}"), "2", "tss:{g}:f", "tss:{g}:q"]);
        node.0.sync_now().await.expect("the server answers");
        node.0.check_refresh().expect_err(&lost);
    }
}

#[tokio::test]
async fn p15_the_feed_is_bounded() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let fill = "for i = 1, 105000 do redis.call('XADD', KEYS[1], '*', 's', i, 'c', '') end";
    server.command(&["EVAL", fill, "1", "tss:{g}:f"]);
    node.0.publish(&[cutoff(1)], &[], &[]).await.map_err(StoreError::from).expect("it answers");
    let entries: u64 = server.command(&["XLEN", "tss:{g}:f"]).parse().expect("a number");
    assert!((100_000..101_000).contains(&entries), "{entries}");
}

#[test]
fn p22_of_what_is_kept_and_what_is_published_the_later_counts() {
    let key = |name: &str| StoreKey::session(None, name);
    let [early, late] = [NOW, NOW + Duration::from_secs(60)];
    let (until, longer) = (NOW + DAY, NOW + 2 * DAY);
    let exempt = |at, until| Change::Exempt { session: key("s"), at, until }.into();
    let cutoff = |at, until| {
        Change::Cutoff { scope: key("scope"), cutoff: RevocationCutoff::new(at, until) }.into()
    };
    let claims = |number, until| Change::Claims { scope: key("scope"), number, until }.into();
    let folded = |first, last, at, until| {
        let folded = FoldedTombstones::new(first, last, at, until);
        Change::Folded { user: key("user"), folded }.into()
    };
    let overrides = |idle, version| {
        let overrides = TimeoutOverrides::new().idle(idle);
        Change::TimeoutOverrides { account: key("account"), overrides, version }.into()
    };
    let ended = |until| FeedChange::revoked_unplaced(key("s"), until);
    let both: [[FeedChange; 3]; 6] = [
        [exempt(late, until), exempt(early, longer), exempt(late, longer)],
        [cutoff(late, until), cutoff(early, longer), cutoff(late, longer)],
        [claims(late, until), claims(early, longer), claims(late, longer)],
        [
            folded(late, late, late, until),
            folded(early, early, early, longer),
            folded(early, late, late, longer),
        ],
        [overrides(IDLE, 2), overrides(2 * IDLE, 1), overrides(IDLE, 2)],
        [ended(until), ended(longer), ended(longer)],
    ];
    let merge = |change: FeedChange, before: FeedChange| {
        change.merge(&before.pack()).map_err(StoreError::from).expect("it is well formed")
    };
    for [one, other, merged] in both {
        assert_eq!(merge(one, other), merged);
        assert_eq!(merge(other, one), merged);
    }
    // What was published first of two with the same number, or for as long.
    let (first, second) = (overrides(IDLE, 1), overrides(2 * IDLE, 1));
    assert_eq!(merge(second, first), first);
    let by =
        |caller, nonce| FeedChange::RevokedUnplaced { session: key("s"), until, caller, nonce };
    assert_eq!(merge(by(2, 2), by(1, 1)), by(1, 1));
}
