//! Renewed tokens are picked up; the newest of a session wins.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tower_sliding_session::{
    ManualClock, MaybeReady, Timestamp,
    request_class::Methods,
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
};

use crate::harness::{Browser, Server, Setup, Tab, in_browser, unsigned_token};

#[tokio::test]
async fn a_renewed_token_is_picked_up_and_handed_to_the_other_tab() {
    let server = Server::start(Setup::new(10, 10, 600));
    in_browser(async move |browser: Browser| {
        let first = browser.open(&server.url("/page")).await;
        first.make_session(json!({})).await;
        first.sign_in().await;
        let second = browser.open_tab(&server.url("/page")).await;
        second.make_session(json!({})).await;
        let old = first.token_id().await;
        assert_eq!(second.token_id().await, old, "handed over");

        first.until("session.left('token') < 5").await;
        assert_eq!(first.call("/api/me").await["status"], 200);
        let new = first.token_id().await;
        assert_ne!(new, old);
        second.event("renewed").await;
        assert_eq!(second.token_id().await, new);
        assert!(first.run::<bool>("return session.lastRenewal >= session.lastActivity").await);
        assert_eq!(server.recorder().count("/auth/refresh"), 0);

        // Nothing is stored: the other tab hands the session over again.
        second.reload().await;
        second.make_session(json!({})).await;
        assert_eq!(second.token_id().await, new);
    })
    .await;
}

/// Every write renews, no read does, and neither sign-in nor sign-out is touched.
#[tokio::test]
async fn where_only_writes_renew_a_read_changes_no_token() {
    let setup = Setup::patient().with_each_renewal();
    let server = Server::start(setup.with(|it| it.classify(Methods::reads_are_background())));
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        tab.make_session(json!({})).await;
        tab.sign_in().await;
        let first = tab.token_id().await;
        assert_eq!(tab.call("/api/me").await["status"], 200);
        assert_eq!(tab.token_id().await, first, "a read");
        let write = "return call('/api/echo', { method: 'POST', body: 'text' })";
        assert_eq!(tab.run::<Value>(write).await["status"], 200);
        assert_ne!(tab.token_id().await, first, "a write");
        assert!(tab.run::<bool>("return session.signOut()").await);
        assert!(!tab.is_signed_in().await);
        assert_eq!(tab.event("ended").await, json!({ "reason": "signed_out" }));
    })
    .await;
}

/// Counts how often it was asked.
#[derive(Default)]
struct Asked(AtomicU32);

impl ClaimsSource for Asked {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        let asked = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        MaybeReady::ready(Ok(ClaimsUpdate::replace(&json!({ "asked": asked })).expect("an object")))
    }
}

/// Tokens have whole seconds, and the clock of the server stands still.
#[tokio::test]
async fn p37_claims_that_change_in_the_second_of_the_mint_reach_every_tab() {
    let setup = Setup::patient().with(|it| {
        let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
        it.clock(clock).claims_source(Asked::default())
    });
    let server = Server::start(setup);
    in_browser(async move |browser: Browser| {
        let tabs = browser.tabs(&server, 2, json!({})).await;
        let post = |path: &str| format!("await call('{path}', {{ method: 'POST' }})");
        for asked in 2..4 {
            tabs[0].run::<()>(&post("/api/claims-changed")).await;
            assert_eq!(tabs[0].call("/api/me").await["status"], 200);
            assert_eq!(tabs[0].run::<u32>("return session.claims.asked").await, asked);
            tabs[1].until(&format!("session.claims.asked === {asked}")).await;
        }
        // What a handler sets for this session alone.
        for team in ["red", "blue"] {
            tabs[0].run::<()>(&post(&format!("/api/team/{team}"))).await;
            assert_eq!(tabs[0].run::<String>("return session.claims.team").await, team);
            tabs[1].until(&format!("session.claims.team === '{team}'")).await;
        }
    })
    .await;
}

/// 20 renewals whose responses arrive out of order, in each of two tabs.
#[tokio::test]
async fn p08_after_parallel_renewals_both_tabs_hold_the_newest_token() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let first = browser.open(&server.url("/page")).await;
        first.make_session(json!({})).await;
        first.sign_in().await;
        let second = browser.open_tab(&server.url("/page")).await;
        second.make_session(json!({})).await;
        let sid: String = first.run("return session.id").await;
        for (tab, begin) in [(&first, 2_000_000_000), (&second, 2_000_000_010)] {
            let tokens: Vec<String> =
                (0..20).map(|n| same_session(&sid, begin + n * 7 % 20, 10)).collect();
            let tokens = json!(tokens);
            tab.run::<Value>(&format!("await Promise.all({tokens}.map(receive))")).await;
        }
        for tab in [&first, &second] {
            tab.until("session.claims.iat === 2000000029").await;
        }
    })
    .await;
}

#[tokio::test]
async fn p08_the_newest_token_of_the_session_wins() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        tab.make_session(json!({})).await;
        for (iat, life, wins) in [
            (2_000_000_001, 50, true),
            (2_000_000_000, 101, true),
            (2_000_000_000, 99, false),
            (1_999_999_999, 200, false),
        ] {
            tab.sign_in().await;
            let sid: String = tab.run("return session.id").await;
            for token in [same_session(&sid, 2_000_000_000, 100), same_session(&sid, iat, life)] {
                tab.run::<Value>(&format!("return receive('{token}')")).await;
            }
            let exp = if wins { iat + life } else { 2_000_000_100 };
            let held: u64 = tab.run("return session.claims.exp").await;
            assert_eq!(held, exp, "{iat} {life}");
        }
        // Of the same second: claims that have changed later, then the longer life.
        for (changed, life, wins) in
            [(None, 100, false), (Some(5), 99, true), (Some(4), 200, false), (Some(5), 100, true)]
        {
            let sid: String = tab.run("return session.id").await;
            let claims = changed.map_or(json!({}), |at| json!({ "claims_at": at }));
            let token = same_session_with(&sid, 2_000_000_000, life, claims);
            let before = number_of_renewals(&tab).await;
            tab.run::<Value>(&format!("return receive('{token}')")).await;
            let is_taken = number_of_renewals(&tab).await > before;
            assert_eq!(is_taken, wins, "{changed:?} {life}");
        }
        // What is no token changes nothing.
        for text in ["x", "a.b.c", "e30.e30"] {
            tab.run::<Value>(&format!("return receive('{text}')")).await;
        }
        assert_eq!(tab.run::<u64>("return session.claims.iat").await, 2_000_000_000);
        // Of another session only if it began later.
        for (auth_time, wins) in [(1_500_000_000_u64, false), (2_100_000_000, true)] {
            let claims = json!({
                "sid": "another", "auth_time": auth_time, "iat": auth_time, "exp": auth_time + 9,
            });
            let token = unsigned_token(&claims);
            tab.run::<Value>(&format!("return receive('{token}')")).await;
            assert_eq!(tab.run::<String>("return session.id").await == "another", wins);
        }
    })
    .await;
}

async fn number_of_renewals(tab: &Tab) -> usize {
    tab.events().await.iter().filter(|event| *event == "renewed").count()
}

/// A token of the session `sid`.
fn same_session(sid: &str, iat: u64, life: u64) -> String {
    same_session_with(sid, iat, life, json!({}))
}

/// The same with these claims, too.
fn same_session_with(sid: &str, iat: u64, life: u64, mut claims: Value) -> String {
    let auth_time = 2_000_000_000;
    claims["sid"] = json!(sid);
    claims["auth_time"] = json!(auth_time);
    claims["iat"] = json!(iat);
    claims["exp"] = json!(iat + life);
    unsigned_token(&claims)
}

/// Three tokens of one second: the second answers a request with the first, and the third another
/// request with the first, later.
#[tokio::test]
async fn p08_of_one_second_the_answer_to_the_held_token_is_the_newer_one() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tabs = browser.tabs(&server, 2, json!({})).await;
        let sid: String = tabs[0].run("return session.id").await;
        let [first, second, third] = ["first", "second", "third"]
            .map(|id| same_session_with(&sid, 2_000_000_000, 100, json!({ "jti": id })));
        tabs[0].run::<Value>(&format!("return receive('{first}')")).await;
        let late = format!("window.late = call('/public/held?token={third}'); return null");
        tabs[0].run::<()>(&late).await;
        server.recorder().reach("/public/held", 1).await;
        tabs[0].run::<Value>(&format!("return receive('{second}')")).await;
        assert_eq!(tabs[0].token_id().await, "second");
        tabs[1].until("session.claims.jti === 'second'").await;
        server.recorder().release();
        assert_eq!(tabs[0].run::<Value>("return late").await["status"], 200);
        for tab in &tabs {
            assert_eq!(tab.token_id().await, "second");
        }
    })
    .await;
}

/// The token arrives after its user has signed out.
#[tokio::test]
async fn p04_a_late_response_revives_no_session() {
    let server = Server::start(Setup::patient());
    in_browser(async move |browser: Browser| {
        let tab = browser.open(&server.url("/page")).await;
        tab.make_session(json!({})).await;
        tab.sign_in().await;
        let sid: String = tab.run("return session.id").await;
        let token = same_session(&sid, 2_000_000_000, 100);
        let call = format!("window.late = call('/public/held?token={token}')");
        tab.run::<()>(&format!("{call}; return null")).await;
        server.recorder().reach("/public/held", 1).await;
        assert!(tab.run::<bool>("return session.signOut()").await, "the server answers");
        server.recorder().release();
        assert_eq!(tab.run::<Value>("return late").await["status"], 200);
        assert!(!tab.is_signed_in().await);
        assert_eq!(tab.events().await, ["signedin", "ended"]);
    })
    .await;
}
