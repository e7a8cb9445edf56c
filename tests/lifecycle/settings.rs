//! Settings that contradict each other, and their defaults.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderName, Request};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_sliding_session::{
    Clock, JwtKeys, ManualClock, MaybeReady, PathRules, Policy, Profiles, Rejection, RejectionKind,
    RequestClass, SessionCookie, SlidingSessions, SystemClock,
    layers::{ActivityLayer, AuthenticateLayer, OnStoreFailure, UnknownSessions},
    policy::{OverrideBounds, TimeoutOverrides},
    request_class::RequestHead,
    sessions::SlidingSessionsBuilder,
    store::{ListQuery, MemoryLimiter, MemoryStore},
    token::{
        Algorithm, ClaimsSource, ClaimsUpdate, LegacyTokens, TokenVerifier, VerifiedToken,
        VerifyingKey,
    },
};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::{
    client::DAY,
    test_stack::{
        BEGIN, HOUR, MILLI, MINUTE, SECRET, TestStack,
        faulty_store::{FaultyStore, StoreBehavior},
        ok, patient, rejected, with,
    },
};

fn builder(policy: Policy) -> SlidingSessionsBuilder {
    SlidingSessions::builder(JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes"), policy)
}

fn sliding() -> Policy {
    Policy::sliding(HOUR, 12 * HOUR).expect("a legal configuration")
}

#[test]
fn build_refuses_refresh_tokens_for_a_sliding_policy() {
    for refreshing in [
        builder(sliding()).refresh_tokens(),
        builder(sliding()).refresh_tokens().reuse_grace(Duration::ZERO),
        builder(patient()).profile("guest", sliding()).refresh_tokens(),
    ] {
        let error = refreshing.build().expect_err("refused");
        let [problem] = error.problems() else { panic!("one problem: {error}") };
        for said in ["refresh_tokens", "`Policy::sliding`", "give it an idle timeout", "remove"] {
            assert!(problem.contains(said), "{problem}");
        }
        assert_eq!(error.to_string(), format!("invalid session settings: {problem}"));
    }
    assert!(builder(sliding()).build().is_ok());
}

#[test]
fn build_refuses_refresh_tokens_without_a_lifecycle_store() {
    let error = builder(patient()).store(Arc::new(MemoryStore::new())).refresh_tokens().build();
    let error = error.expect_err("refused").to_string();
    assert!(error.contains("`lifecycle_store`"), "{error}");
}

#[test]
fn bounds_of_overrides_have_min_below_max() {
    let bounds = OverrideBounds::new().idle(HOUR..=MINUTE).absolute(Duration::ZERO..=DAY);
    let error = builder(patient()).override_bounds(bounds).build().expect_err("refused");
    assert_eq!(error.problems().len(), 2, "{error}");
}

#[test]
fn build_refuses_overrides_that_weaken_a_preset() {
    let build = |policy: Policy| {
        let bounds = OverrideBounds::new().dangerous_longer_than_policy();
        builder(policy).override_bounds(bounds).build()
    };
    let from_preset = |idle| {
        let policy = Policy::pci_dss().to_builder().idle_timeout(idle).token_lifetime(HOUR);
        policy.build().expect("a legal configuration")
    };
    for preset in [
        Policy::pci_dss(),
        Policy::nist_aal2(),
        Policy::nist_aal3(),
        Policy::long_lived(),
        from_preset(10 * MINUTE),
        from_preset(15 * MINUTE),
    ] {
        let error = build(preset).expect_err("refused");
        let [problem] = error.problems() else { panic!("one problem: {error}") };
        assert!(problem.starts_with("override_bounds: the policy is a preset"), "{problem}");
    }
    for own in [patient(), from_preset(16 * MINUTE)] {
        assert!(build(own).is_ok());
    }
}

#[tokio::test]
async fn a_session_store_can_start_and_revoke_sessions_but_lists_none() {
    let stack = TestStack::with(patient(), |builder| builder.store(Arc::new(MemoryStore::new())));
    let grant = stack.sessions.start("ada").await.expect("the session starts");
    assert_eq!(grant.refresh_token(), None);
    let listed = stack.sessions.sessions(stack.sessions.everything(), ListQuery::first(9)).await;
    assert!(listed.is_err());
    stack.sessions.revoke(grant.session_id()).await.expect("the session is revoked");
    let response = stack.get(grant.access_token()).await;
    assert_eq!(response.status().as_u16(), 401);
}

#[tokio::test]
async fn the_routes_stay_public_after_later_path_rules() {
    let rules = || PathRules::new().public("/login");
    for stack in [
        TestStack::with(patient(), |it| {
            it.refresh_tokens().router_at("/auth/").path_rules(rules())
        }),
        TestStack::with(patient(), |it| it.path_rules(rules()).router_at("/auth")),
    ] {
        for path in ["/auth/refresh", "/auth/config", "/login"] {
            let request = Request::get(path).body(()).expect("a request");
            assert_eq!(rejected(&stack.send(request).await), None, "{path}");
        }
    }
}

#[test]
fn a_reuse_grace_over_five_minutes_is_refused() {
    let grace =
        |secs| builder(patient()).refresh_tokens().reuse_grace(Duration::from_secs(secs)).build();
    assert!(grace(300).is_ok());
    assert!(grace(301).expect_err("refused").to_string().contains("reuse_grace"));
}

#[test]
fn a_reuse_grace_does_not_switch_refresh_tokens_on() {
    let grace = Duration::from_secs(5);
    let error = builder(patient()).reuse_grace(grace).build().expect_err("refused");
    let [problem] = error.problems() else { panic!("one problem: {error}") };
    assert!(problem.starts_with("reuse_grace: refresh tokens are off"), "{problem}");
    let sessions = builder(patient()).reuse_grace(grace).refresh_tokens().build();
    assert!(sessions.expect("valid").client_config().features.refresh_tokens);
}

/// Sets a setting.
type Set = fn(SlidingSessionsBuilder) -> SlidingSessionsBuilder;

#[test]
fn a_setting_that_is_set_twice_is_a_problem() {
    let settings: [(&str, Set); 26] = [
        ("path_rules", |it| it.path_rules(PathRules::new())),
        ("classify", |it| it.classify(|_: RequestHead<'_>| RequestClass::User)),
        ("issuer", |it| it.issuer("a")),
        ("audience", |it| it.audience("a")),
        ("cached_tokens", |it| it.cached_tokens(0)),
        ("bearer", SlidingSessionsBuilder::bearer),
        ("token_header", |it| it.token_header(HeaderName::from_static("x-token"))),
        ("renewed_token_header", |it| it.renewed_token_header(HeaderName::from_static("x-new"))),
        ("mirror_cookie", |it| it.mirror_cookie(SessionCookie::new())),
        ("store", |it| it.store(MemoryStore::new())),
        ("lifecycle_store", |it| it.lifecycle_store(MemoryStore::new())),
        ("renewal_limiter", |it| it.renewal_limiter(MemoryLimiter::new())),
        ("claims_source", |it| it.claims_source(KeepClaims)),
        ("clock", |it| it.clock(SystemClock)),
        ("on_store_failure", |it| it.on_store_failure(OnStoreFailure::Reject)),
        ("unknown_sessions", |it| it.unknown_sessions(UnknownSessions::Adopt)),
        ("rejections", |it| it.rejections(|_: &Rejection, _: RequestHead<'_>| None)),
        ("optional", SlidingSessionsBuilder::optional),
        ("allow_preflight", SlidingSessionsBuilder::allow_preflight),
        ("session_expires", SlidingSessionsBuilder::session_expires),
        ("refresh_tokens", SlidingSessionsBuilder::refresh_tokens),
        ("override_bounds", |it| it.override_bounds(OverrideBounds::new())),
        ("activity_log", SlidingSessionsBuilder::activity_log),
        ("account_owner", |it| it.account_owner(|_| false)),
        ("router_at", |it| it.router_at("/auth")),
        ("profile", |it| it.profile("guest", patient())),
    ];
    for (name, set) in settings {
        assert!(set(builder(patient())).build().is_ok(), "{name}");
        let error = set(set(builder(patient()))).build().expect_err(name);
        let [problem] = error.problems() else { panic!("one problem: {error}") };
        assert!(
            problem.starts_with(&format!("{name}: ")) && problem.contains("twice"),
            "{problem}"
        );
    }
    let cookie = |it: SlidingSessionsBuilder| it.session_cookie(SessionCookie::new());
    let error = cookie(cookie(builder(patient()))).build().expect_err("two cookies");
    assert!(error.problems().iter().all(|it| it.starts_with("session_cookie: ")), "{error}");
}

/// Keeps the claims.
struct KeepClaims;

impl ClaimsSource for KeepClaims {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        MaybeReady::ready(Ok(ClaimsUpdate::Keep))
    }
}

#[test]
fn settings_that_exclude_each_other_are_one_problem() {
    let two_stores =
        builder(patient()).store(MemoryStore::new()).lifecycle_store(MemoryStore::new());
    let normal = builder(patient()).profile("normal", patient());
    for (expected, builder) in [("store: ", two_stores), ("profile: `normal`", normal)] {
        let error = builder.build().expect_err(expected);
        let [problem] = error.problems() else { panic!("one problem: {error}") };
        assert!(problem.starts_with(expected), "{problem}");
    }
}

/// A session that is unknown although it is active must not be rejected.
#[test]
fn p33_unknown_sessions_are_rejected_only_by_a_store_that_knows_all() {
    let own = || JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes");
    let build = |keys: JwtKeys, set: Set| {
        let builder = SlidingSessions::builder(keys, patient());
        set(builder).unknown_sessions(UnknownSessions::Reject).build()
    };
    let foreign = own();
    let key = VerifyingKey::hmac(Algorithm::HS256, [9; 32]).expect("a secret of 32 bytes");
    foreign.add_issuer_key("https://other.example", key).expect("a free kid");
    let verify_only = JwtKeys::verify_only();
    let durable: Set = |it| it.store(FaultyStore::new(StoreBehavior::Ready));
    let adopting: Set = |it| {
        let store = FaultyStore::new(StoreBehavior::Ready);
        it.store(store).legacy_tokens(LegacyTokens::adopt(|_| None))
    };
    let cases: [(JwtKeys, Set, &str); 6] = [
        (own(), |it| it, "the store forgets sessions in a restart: set a durable one"),
        (own(), |it| it.store(MemoryStore::new()), "the store forgets sessions"),
        (own(), |it| it.lifecycle_store(Arc::new(MemoryStore::new())), "the store forgets"),
        (own(), adopting, "`legacy_tokens` adopts tokens whose sessions the store does not know"),
        (foreign, durable, "the sessions of other issuers"),
        (verify_only, durable, "the sessions of other issuers"),
    ];
    for (keys, set, expected) in cases {
        let error = build(keys, set).expect_err(expected);
        let [problem] = error.problems() else { panic!("one problem: {error}") };
        for said in ["unknown_sessions: `Reject`", expected, "or remove `Reject`"] {
            assert!(problem.contains(said), "{problem}");
        }
    }
    assert!(build(own(), durable).is_ok());
    let error = build(JwtKeys::verify_only(), |it| it).expect_err("two reasons");
    assert_eq!(error.problems().len(), 2, "{error}");
}

#[test]
fn the_defaults_and_the_settings_of_the_readme_log_no_warning() {
    struct Levels(Arc<Mutex<Vec<Level>>>);
    impl<S: Subscriber> Layer<S> for Levels {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().expect("not poisoned").push(*event.metadata().level());
        }
    }
    let logged = |policy: Policy| {
        let levels = Arc::default();
        let subscriber = tracing_subscriber::registry().with(Levels(Arc::clone(&levels)));
        let sessions = tracing::subscriber::with_default(subscriber, || builder(policy).build());
        drop(sessions.expect("valid"));
        let levels = levels.lock().expect("not poisoned");
        levels.iter().filter(|level| **level <= Level::WARN).count()
    };
    let of_the_readme = Policy::builder()
        .idle_timeout(20 * MINUTE)
        .absolute_timeout(12 * HOUR)
        .token_lifetime(HOUR);
    assert_eq!(logged(Policy::builder().build().expect("valid")), 0);
    assert_eq!(logged(of_the_readme.build().expect("valid")), 0);
    assert_eq!(logged(Policy::builder().renew(false).build().expect("valid")), 1);
}

#[tokio::test]
async fn p15_invalid_tokens_write_no_log_row() {
    let store = Arc::new(MemoryStore::new());
    let stack = TestStack::with(patient(), |builder| builder.lifecycle_store(store));
    stack.sessions.start("ada").tenant("acme").await.expect("the session starts");
    for _ in 0..100 {
        stack.get("x").await;
    }
    let scope = stack.sessions.everything();
    let rows = stack
        .sessions
        .audit_log(scope, ListQuery::first(100))
        .await
        .expect("the store answers")
        .items;
    assert_eq!(rows.len(), 1, "the sign-in");
}

#[tokio::test]
async fn p20_overrides_apply_in_a_custom_stack() {
    let (clock, store) = (ManualClock::new(BEGIN), Arc::new(MemoryStore::new()));
    let long = Policy::long_lived()
        .to_builder()
        .token_lifetime(3 * DAY)
        .build()
        .expect("a legal configuration");
    let sessions = builder(long.clone()).clock(clock.clone()).lifecycle_store(store.clone());
    let sessions = sessions.build().expect("a legal configuration");
    let grant = sessions.start("ada").tenant("acme").await.expect("the session starts");
    let hour = TimeoutOverrides::new().idle(HOUR).absolute(HOUR);
    sessions.change_account_policy("acme", |_| hour).await.expect("within the bounds");
    let keys = Arc::new(JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes"));
    let profiles = Arc::new(Profiles::new(long));
    let clocked: Arc<dyn Clock> = Arc::new(clock.clone());
    let mut service = ServiceBuilder::new()
        .layer(
            AuthenticateLayer::new(TokenVerifier::new(keys), Arc::clone(&profiles))
                .clock(Arc::clone(&clocked)),
        )
        .layer(ActivityLayer::new(profiles, store).clock(clocked))
        .service(service_fn(async |_: Request<()>| Ok::<_, Infallible>(ok())));
    let expired = Some(RejectionKind::SessionExpiredAbsolute);
    for (now, expected) in [(HOUR / 2, None), (HOUR - MILLI, None), (HOUR, expired)] {
        clock.set(BEGIN + now);
        let ready = service.ready().await.expect("always ready");
        let response = ready.call(with(grant.access_token())).await.expect("infallible");
        assert_eq!(rejected(&response), expected, "{now:?}");
    }
}

#[test]
fn tickets_need_a_lifecycle_store_and_a_key_that_signs() {
    let layers_only = builder(patient()).store(MemoryStore::new()).tickets().build();
    let problem = layers_only.expect_err("refused").to_string();
    assert!(problem.contains("tickets: `store` cannot store tickets"), "{problem}");
    let verifying = SlidingSessions::builder(JwtKeys::verify_only(), patient()).tickets().build();
    let problem = verifying.expect_err("refused").to_string();
    assert!(problem.contains("tickets: the keys verify only"), "{problem}");
    builder(patient()).tickets().build().expect("the default store stores tickets");
}
