//! Claims that change, in the single layers, for tokens of other issuers and over gRPC (P37).

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use http::{Request, Response};
use serde_json::{Value, json};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_sliding_session::{
    JwtKeys, ManualClock, MaybeReady, Profiles, RejectionKind, Session,
    audit::{AuditEvent, AuditRecord, AuditSubject},
    identity::{Scope, Scopes, StoreKey},
    layers::{ActivityLayer, AuthenticateLayer, RenewLayer},
    store::{ClaimsChange, LifecycleStore, MemoryStore, SessionStore as _, StoreError},
    token::{
        Algorithm, ClaimsSource, ClaimsUpdate, LegacyTokens, SigningKey, TokenVerifier,
        VerifiedToken, VerifyingKey,
    },
};

use crate::test_stack::{
    BEGIN, HOUR, MINUTE, RENEWED, SECRET, TestStack, claims, ok, patient, rejected, renewed, text,
    with,
};

/// Every user is a reader now, or nobody is anything.
#[derive(Clone)]
struct Readers {
    asked: Arc<AtomicUsize>,
    denies: bool,
}

impl Readers {
    fn new(denies: bool) -> Self {
        Self { asked: Arc::default(), denies }
    }
}

impl ClaimsSource for Readers {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        self.asked.fetch_add(1, SeqCst);
        MaybeReady::ready(if self.denies {
            Ok(ClaimsUpdate::Deny)
        } else {
            ClaimsUpdate::replace(&json!({ "role": "reader" })).map_err(StoreError::new)
        })
    }
}

fn role(request: &Request<()>) -> String {
    let session = request.extensions().get::<Session>().expect("authenticated");
    let claims: Value = session.claims().expect("an object");
    claims["role"].as_str().unwrap_or("none").to_owned()
}

/// The token of an admin.
async fn admin(stack: &TestStack) -> String {
    let start = stack.sessions.start("ada").claims(&json!({ "role": "admin" }));
    start.await.expect("the session starts").access_token().to_owned()
}

#[tokio::test]
async fn p37_the_single_layers_ask_before_the_handler() {
    let token = admin(&TestStack::new(patient())).await;
    let (readers, clock) = (Readers::new(false), ManualClock::new(BEGIN + MINUTE));
    let (store, profiles) = (Arc::new(MemoryStore::new()), Arc::new(Profiles::new(patient())));
    let keys = Arc::new(JwtKeys::hs256(SECRET).expect("a secret"));
    let layers = ServiceBuilder::new()
        .layer(
            AuthenticateLayer::new(TokenVerifier::new(Arc::clone(&keys)), Arc::clone(&profiles))
                .store(Arc::clone(&store))
                .clock(clock.clone()),
        )
        .layer(
            ActivityLayer::new(Arc::clone(&profiles), Arc::clone(&store))
                .claims_source(readers.clone())
                .clock(clock.clone()),
        )
        .layer(RenewLayer::new(keys, profiles).claims_source(readers.clone()).clock(clock));
    let send = async |token: &str| {
        let handler = service_fn(async |request: Request<()>| {
            Ok::<_, Infallible>(Response::new(role(&request)))
        });
        let Ok(response) = layers.clone().service(handler).oneshot(with(token)).await;
        let successor = response.headers().get(RENEWED).cloned();
        let body = http_body_util::BodyExt::collect(response.into_body()).await;
        let body = body.expect("a whole body").to_bytes();
        (String::from_utf8(body.to_vec()).expect("UTF-8"), successor)
    };
    assert_eq!(send(&token).await, ("admin".to_owned(), None));
    let scope = Scope::User(StoreKey::user(None, None, "ada"));
    let event = AuditEvent::ClaimsChanged { scope: scope.kind() };
    let audit = AuditRecord::new(BEGIN, event, AuditSubject::from_scope(scope));
    let change = ClaimsChange::new(scope, BEGIN, BEGIN + 12 * HOUR, audit);
    store.change_claims(change).await.expect("the store answers");
    let (seen, successor) = send(&token).await;
    let successor = successor.expect("the response carries the successor");
    let successor = successor.to_str().expect("ASCII");
    assert_eq!((seen.as_str(), &claims(successor)["role"]), ("reader", &json!("reader")));
    assert_eq!(send(successor).await, ("reader".to_owned(), None));
    assert_eq!(readers.asked.load(SeqCst), 1);
}

#[tokio::test]
async fn p35_p37_a_token_of_another_issuer_gets_the_claims_in_its_session_only() {
    const IDP: &str = "https://idp.example";
    let pem = include_str!("../keys_pem/es256.private.pem");
    let idp_key = SigningKey::from_pem(Algorithm::ES256, pem).expect("a key").kid("k");
    let idp = TestStack::with_keys(JwtKeys::new(idp_key), patient(), |it| it.issuer(IDP));
    let own = SigningKey::hmac(Algorithm::HS256, SECRET).expect("a secret").kid("k");
    let keys = JwtKeys::new(own);
    let public = include_str!("../keys_pem/es256.public.pem");
    let public = VerifyingKey::from_pem(Algorithm::ES256, public).expect("a key").kid("k");
    keys.add_issuer_key(IDP, public).expect("a free kid");
    let readers = Readers::new(false);
    let stack = TestStack::with_keys(keys, patient(), |it| it.claims_source(readers.clone()));
    let foreign = admin(&idp).await;
    let show = async |request: Request<()>| Response::new(role(&request));
    assert_eq!(text(stack.send_to(show, with(&foreign)).await).await, "admin");
    let scope = Scope::User(StoreKey::user(Some(IDP), None, "ada"));
    stack.sessions.claims_changed(scope).await.expect("the store answers");
    for _ in 0..3 {
        let response = stack.send_to(show, with(&foreign)).await;
        assert_eq!((rejected(&response), renewed(&response)), (None, None));
        assert_eq!(text(response).await, "reader");
    }
    assert_eq!(readers.asked.load(SeqCst), 1, "its answer is kept");
}

/// Such a token may have been minted at any time before, and lives as long as its issuer says.
#[tokio::test]
async fn p35_p37_a_change_counts_for_a_long_token_of_another_issuer_and_of_an_earlier_system() {
    const LATER: Duration = Duration::from_secs(5 * 3600);
    let own = || SigningKey::hmac(Algorithm::HS256, SECRET).expect("a secret").kid("k");
    let with_issuer = || {
        let keys = JwtKeys::new(own());
        let public = include_str!("../keys_pem/es256.public.pem");
        let public = VerifyingKey::from_pem(Algorithm::ES256, public).expect("a key").kid("k");
        keys.add_issuer_key("https://idp.example", public).expect("a free kid");
        keys
    };
    let earlier = LegacyTokens::adopt(|_| None);
    for (name, keys, legacy, is_kept) in [
        ("own tokens alone", JwtKeys::new(own()), None, false),
        ("another issuer", with_issuer(), None, true),
        ("issuers whose keys are not here yet", JwtKeys::verify_only(), None, true),
        ("an earlier system", JwtKeys::new(own()), Some(earlier), true),
    ] {
        let store = Arc::new(MemoryStore::new());
        let stack = TestStack::with_keys(keys, patient(), |it| {
            let it = it.lifecycle_store(Arc::clone(&store)).claims_source(Readers::new(false));
            if let Some(legacy) = legacy { it.legacy_tokens(legacy) } else { it }
        });
        let changed = stack.sessions.claims_changed(stack.sessions.everything()).await;
        changed.expect("the store answers");
        let numbers = store.claims_changes().expect("the store supports them");
        numbers.remove_expired(BEGIN + LATER);
        let number = numbers.number_of(&Scopes::new(None, None, "ada"));
        assert_eq!(number.is_some(), is_kept, "{name}");
    }
}

#[tokio::test]
async fn p37_a_denied_user_is_answered_in_the_protocol_of_the_client() {
    let stack = TestStack::with(patient(), |it| it.claims_source(Readers::new(true)));
    let token = admin(&stack).await;
    let changed = stack.sessions.claims_changed(stack.sessions.everything()).await;
    changed.expect("the store answers");
    for content_type in ["application/grpc", "application/grpc-web+proto"] {
        let mut request = with(&token);
        let headers = request.headers_mut();
        headers.insert("content-type", content_type.parse().expect("a value"));
        let response = stack.send(request).await;
        assert_eq!(response.status().as_u16(), 200, "{content_type}");
        assert_eq!(response.headers()["grpc-status"], "7");
        assert_eq!(response.headers()["session-error"], "access_denied");
    }
    let mut request = with(&token);
    request.headers_mut().insert("connect-protocol-version", "1".parse().expect("a value"));
    let response = stack.send(request).await;
    assert_eq!(response.status().as_u16(), 403);
    let body: Value = serde_json::from_str(&text(response).await).expect("JSON");
    assert_eq!(body["code"], "permission_denied");
    let response = stack.get(&token).await;
    assert_eq!(rejected(&response), Some(RejectionKind::AccessDenied));
    assert!(!response.headers().contains_key("www-authenticate"));
    let body: Value = serde_json::from_str(&text(response).await).expect("JSON");
    assert_eq!((&body["status"], &body["code"]), (&json!(403), &json!("access_denied")));
}

/// A user with many sessions, and many users, share the source.
#[tokio::test]
async fn p31_p37_a_user_has_four_questions_at_a_time_and_all_users_have_sixty_four() {
    #[derive(Clone, Default)]
    struct Slow(Arc<(AtomicUsize, AtomicUsize)>);
    impl ClaimsSource for Slow {
        fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
            let counts = Arc::clone(&self.0);
            let running = counts.0.fetch_add(1, SeqCst) + 1;
            counts.1.fetch_max(running, SeqCst);
            MaybeReady::new(async move {
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                counts.0.fetch_sub(1, SeqCst);
                Ok(ClaimsUpdate::Keep)
            })
        }
    }
    for (users, expected) in [(1, 4), (200, 64)] {
        let slow = Slow::default();
        let stack = Arc::new(TestStack::with(patient(), |it| it.claims_source(slow.clone())));
        let mut tokens = Vec::new();
        for number in 0..200 {
            let start = stack.sessions.start(format!("user-{}", number % users));
            let grant = start.claims(&json!({})).await.expect("the session starts");
            tokens.push(grant.access_token().to_owned());
        }
        let changed = stack.sessions.claims_changed(stack.sessions.everything()).await;
        changed.expect("the store answers");
        let requests = tokens.into_iter().map(|token| {
            let stack = Arc::clone(&stack);
            tokio::spawn(
                async move { rejected(&stack.send_to(async |_| ok(), with(&token)).await) },
            )
        });
        for request in requests.collect::<Vec<_>>() {
            assert_eq!(request.await.expect("it completes"), None);
        }
        assert_eq!(slow.0.1.load(SeqCst), expected, "{users} users");
    }
}
