//! The measured stack, the bare service, and the requests that both get.
#![allow(dead_code, reason = "each bench is a crate of its own and uses its part")]

use std::{
    cell::Cell,
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, ServiceBuilder, service_fn};
use tower_sliding_session::{
    Clock, JwtKeys, ManualClock, MaybeReady, PathRules, Policy, Profiles, Session, SlidingSessions,
    SystemClock, Timestamp,
    layers::{ActivityLayer, ClassifyLayer, RenewLayer},
    request_class::subtree,
    sessions::SlidingSessionsBuilder,
    store::MemoryStore,
    token::{Algorithm, ClaimsSource, ClaimsUpdate, SigningKey, TokenVerifier, VerifiedToken},
};

/// The HMAC secret of every token.
pub(crate) const SECRET: [u8; 32] = [7; 32];

/// The number of tokens in rotation for [`Case::FirstSeen`].
const TOKENS: usize = 64;
const FEWER_THAN_TOKENS: usize = 8;

/// A stack and the requests that it gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Case {
    /// The whole stack, on a public path.
    Public,
    /// The optional stack, without a token.
    NoToken,
    /// Class `Background`, with a session that the app inserted: no cryptography.
    KnownBackground,
    /// As `KnownBackground` with class `User`: activity recorded, no renewal due.
    KnownUser,
    /// The whole stack, class `Background`, cached token: session checked, nothing recorded.
    Background,
    /// The whole stack, class `User`, cached token: activity recorded, no renewal due.
    User,
    /// As `User`, after the claims of another user have changed.
    ChangedClaims,
    /// As `User`, signed with ES256.
    Es256,
    /// As `User`, signed with `EdDSA`.
    EdDsa,
    /// As `User`, signed with RS256, which only `aws_lc_rs` supports.
    #[cfg(feature = "aws_lc_rs")]
    Rs256,
    /// As `User`, each token not yet cached and stored in place of another.
    FirstSeen,
    /// As `User` without a token cache: each request verifies the signature.
    Uncached,
    /// As `User`, and each response carries a renewed token.
    Renewal,
}

impl Case {
    pub(crate) const ALL: &[Self] = &[
        Self::Public,
        Self::NoToken,
        Self::KnownBackground,
        Self::KnownUser,
        Self::Background,
        Self::User,
        Self::ChangedClaims,
        Self::Es256,
        Self::EdDsa,
        #[cfg(feature = "aws_lc_rs")]
        Self::Rs256,
        Self::FirstSeen,
        Self::Uncached,
        Self::Renewal,
    ];

    const fn path(self) -> &'static str {
        match self {
            Self::Public => "/login",
            Self::KnownBackground | Self::Background => "/documents/paginated/7",
            _ => "/documents/7",
        }
    }

    const fn is_known(self) -> bool {
        matches!(self, Self::KnownBackground | Self::KnownUser)
    }

    const fn presents_a_token(self) -> bool {
        !self.is_known() && !matches!(self, Self::Public | Self::NoToken)
    }
}

/// An entry in the extensions that an outer layer has inserted.
#[derive(Clone)]
struct Stranger;

/// Sends one request through a service and drops the response.
pub(crate) type Send = Box<dyn FnMut(Request<()>)>;

/// One case: the same requests for the stack and for the bare service.
pub(crate) struct Scenario {
    pub(crate) stacked: Send,
    pub(crate) bare: Send,
    /// Builds a request.
    pub(crate) request: Box<dyn Fn() -> Request<()>>,
    pub(crate) token: String,
}

impl Scenario {
    /// With a clock that does not advance. `occupied`: whether the extensions of a request already
    /// hold an entry.
    pub(crate) fn new(case: Case, occupied: bool) -> Self {
        Self::on(ManualClock::new(SystemClock.now()), case, occupied)
    }

    pub(crate) fn on(clock: impl Clock + Clone, case: Case, occupied: bool) -> Self {
        let sessions = sessions(clock.clone(), case);
        let count = if case == Case::FirstSeen { TOKENS } else { 1 };
        let tokens: Vec<_> = (0..count).map(|_| token(&sessions)).collect();
        let stacked = match case {
            Case::NoToken => sender(sessions.layer().optional().layer(service_fn(bare))),
            case if case.is_known() => sender(known(policy(case), clock)),
            _ => sender(sessions.layer().layer(service_fn(bare))),
        };
        let token = tokens[0].clone();
        let request = requests(case, occupied, &tokens);
        Self { stacked, bare: sender(service_fn(bare)), request, token }
    }
}

/// The sessions of a case.
pub(crate) fn sessions(clock: impl Clock, case: Case) -> SlidingSessions {
    let remembered = match case {
        Case::Uncached => 0,
        Case::FirstSeen => FEWER_THAN_TOKENS,
        _ => TokenVerifier::DEFAULT_CACHED_TOKENS,
    };
    let builder = SlidingSessions::builder(keys_of(case), policy(case))
        .cached_tokens(remembered)
        .path_rules(path_rules())
        .clock(clock);
    let build = |builder: SlidingSessionsBuilder| builder.build().expect("a legal configuration");
    if case != Case::ChangedClaims {
        return build(builder);
    }
    let sessions = build(builder.claims_source(KeepClaims));
    let change = sessions.claims_changed(sessions.user_scope(None, "hopper"));
    drive(change.into_future()).expect("the memory store answers");
    sessions
}

/// Keeps the claims of every token.
struct KeepClaims;

impl ClaimsSource for KeepClaims {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        MaybeReady::ready(Ok(ClaimsUpdate::Keep))
    }
}

/// The access token of a new session.
pub(crate) fn token(sessions: &SlidingSessions) -> String {
    let grant = drive(sessions.start("lovelace").into_future()).expect("the session starts");
    grant.access_token().to_owned()
}

fn keys_of(case: Case) -> JwtKeys {
    let (algorithm, pem) = match case {
        Case::Es256 => (Algorithm::ES256, include_str!("../../tests/keys_pem/es256.private.pem")),
        Case::EdDsa => (Algorithm::EdDSA, include_str!("../../tests/keys_pem/eddsa.private.pem")),
        #[cfg(feature = "aws_lc_rs")]
        Case::Rs256 => (Algorithm::RS256, include_str!("../../tests/keys_pem/rs256.private.pem")),
        _ => return keys(),
    };
    JwtKeys::new(SigningKey::from_pem(algorithm, pem).expect("a private key"))
}

pub(crate) fn keys() -> JwtKeys {
    JwtKeys::hs256(SECRET).expect("32 bytes")
}

pub(crate) fn policy(case: Case) -> Policy {
    let builder = Policy::builder();
    match case {
        Case::Renewal => builder.renew_always().renew_min_interval(Duration::ZERO),
        _ => builder,
    }
    .build()
    .expect("a legal configuration")
}

pub(crate) fn path_rules() -> PathRules {
    PathRules::new()
        .public("/login")
        .public("/health")
        .public("/static/{*path}")
        .background(subtree("/documents/paginated"))
        .background("/documents/{id}/status")
}

/// The layers of an app that verifies its tokens itself.
fn known(
    policy: Policy,
    clock: impl Clock,
) -> impl Service<Request<()>, Error = Infallible, Response = Response<impl Sized>> + 'static {
    let profiles = Arc::new(Profiles::new(policy));
    let clock: Arc<dyn Clock> = Arc::new(clock);
    ServiceBuilder::new()
        .layer(ClassifyLayer::new(path_rules().compile().expect("legal path rules")))
        .layer(
            ActivityLayer::new(Arc::clone(&profiles), Arc::new(MemoryStore::new()))
                .clock(Arc::clone(&clock)),
        )
        .layer(RenewLayer::new(keys(), profiles).clock(clock))
        .service(service_fn(bare))
}

pub(crate) fn bare(request: Request<()>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    drop(black_box(request));
    ready(Ok(Response::new(Full::new(Bytes::from_static(b"ok")))))
}

fn requests(case: Case, occupied: bool, tokens: &[String]) -> Box<dyn Fn() -> Request<()>> {
    let verified = TokenVerifier::new(Arc::new(keys_of(case)))
        .verify(&tokens[0], Timestamp::EPOCH)
        .expect("a valid token");
    let bearers: Vec<_> = tokens.iter().map(|token| format!("Bearer {token}")).collect();
    let turn = Cell::new(0);
    let session = move || {
        Session::builder(&*verified.claims().sub)
            .sid(&*verified.claims().sid)
            .auth_time(verified.claims().auth_time)
            .claims_json(verified.payload())
            .build()
            .expect("claims that were verified")
    };
    Box::new(move || {
        let mut request = Request::post(case.path()).header("accept", "application/json");
        if case.presents_a_token() {
            let bearer = &bearers[turn.replace(turn.get() + 1) % bearers.len()];
            request = request.header("authorization", bearer);
        }
        if occupied {
            request = request.extension(Stranger);
        }
        if case.is_known() {
            request = request.extension(session());
        }
        request.body(()).expect("a request")
    })
}

/// Sends requests through `service`; each must succeed.
pub(crate) fn sender<S, B>(mut service: S) -> Send
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + 'static,
{
    Box::new(move |request| {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut cx).is_ready(), "always ready");
        let Ok(response) = black_box(drive(service.call(request)));
        assert!(response.status().is_success(), "let through");
    })
}

/// The output of a future that is never pending.
pub(crate) fn drive<F>(future: F) -> F::Output
where
    F: Future,
{
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("everything here is at hand"),
    }
}
