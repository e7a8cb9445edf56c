//! The policy explorer: what becomes of a session under a policy and a pattern of requests.
//!
//! It computes nothing itself. It builds sessions with the policy and a clock of their own, and
//! sends each request through their layer.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::rejection::BytesRejection,
    http::{Request, Response, StatusCode},
    response::IntoResponse,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;
use tower::{BoxError, Layer, ServiceExt, service_fn};
use tower_sliding_session::{
    Deadlines, Grant, JwtKeys, ManualClock, Policy, Rejection, RejectionKind, Session,
    SlidingSessions, Timestamp,
    store::{MemoryLimiter, MemoryStore},
    transport::RENEWED_TOKEN,
};
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

/// How many requests one pattern has at most. They bound the work of the route.
pub(crate) const MAX_REQUESTS: usize = 500;

/// The largest body, in bytes: room for [`MAX_REQUESTS`] and a policy.
pub(crate) const MAX_BODY: usize = 32 * 1024;

/// The latest request, in seconds after sign-in: 100 years, as the longest timeout.
const LATEST: u64 = 100 * 31_557_600;

/// Whole seconds, so that no claim is rounded.
const SIGN_IN: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A policy and the requests of a client that signs in at 0.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exploration {
    policy: Policy,
    /// Whether the client has a refresh token, which it exchanges once its token has expired.
    #[serde(default)]
    refresh_tokens: bool,
    requests: Vec<Planned>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Planned {
    /// In whole seconds after sign-in.
    at: u64,
    #[serde(default)]
    background: bool,
}

/// What became of the session. Times are in seconds after sign-in.
#[derive(Serialize)]
struct Explored {
    description: String,
    warnings: Vec<String>,
    sign_in: Times,
    /// The requests until the session ended.
    requests: Vec<Sent>,
    end: End,
    fixed_token: FixedToken,
}

/// The deadlines after a request.
#[derive(Clone, Copy, Serialize)]
struct Times {
    #[serde(serialize_with = "as_seconds")]
    token: Duration,
    #[serde(serialize_with = "as_seconds")]
    idle: Duration,
    #[serde(serialize_with = "as_seconds")]
    absolute: Duration,
}

#[derive(Serialize)]
struct Sent {
    #[serde(serialize_with = "as_seconds")]
    at: Duration,
    background: bool,
    /// The code of the rejection; absent for a request that was let in.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The response carried a new token.
    renewed: bool,
    /// The token had expired, and the refresh token was exchanged before the request.
    refreshed: bool,
    deadlines: Times,
}

#[derive(Serialize)]
struct End {
    #[serde(serialize_with = "as_seconds")]
    at: Duration,
    code: &'static str,
}

/// A token of the same lifetime that nothing replaces.
#[derive(Serialize)]
struct FixedToken {
    #[serde(serialize_with = "as_seconds")]
    until: Duration,
    /// How many requests of the user it would have rejected that the session let in.
    rejected: usize,
}

/// `POST /explore`: answers 400 with what to change if the body is not an [`Exploration`].
pub(crate) async fn explore(body: Result<Bytes, BytesRejection>) -> impl IntoResponse {
    let exploration = match body {
        Ok(body) => Exploration::parse(&body),
        Err(_) => Err(format!("The body is too large: send at most {MAX_BODY} bytes.")),
    };
    match exploration {
        // The logs of the demo are about the sessions of its visitors.
        Ok(it) => match it.run().with_subscriber(NoSubscriber::new()).await {
            Ok(explored) => Json(explored).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        },
        Err(title) => {
            let problem = json!({ "code": "invalid_exploration", "title": title });
            (StatusCode::BAD_REQUEST, Json(problem)).into_response()
        }
    }
}

impl Exploration {
    fn parse(body: &[u8]) -> Result<Self, String> {
        let parsed: Self = serde_json::from_slice(body).map_err(|error| {
            let text = error.to_string();
            // Where in the body is of use only if the body is no JSON.
            match text.rsplit_once(" at line ") {
                Some((what, _)) if error.is_data() => what.to_owned(),
                _ => text,
            }
        })?;
        if parsed.requests.len() > MAX_REQUESTS {
            return Err(format!("`requests` are too many: send at most {MAX_REQUESTS}."));
        }
        if parsed.requests.iter().any(|request| request.at > LATEST) {
            return Err(format!("`at` is too late: at most {LATEST} seconds after sign-in."));
        }
        if !parsed.requests.is_sorted_by_key(|request| request.at) {
            return Err("`requests` are not in order: sort them by `at`.".to_owned());
        }
        Ok(parsed)
    }

    async fn run(self) -> Result<Explored, BoxError> {
        let policy = &self.policy;
        let warnings = if self.refresh_tokens {
            policy.warnings_with_refresh_tokens()
        } else {
            policy.warnings()
        };
        let mut client = Client::sign_in(policy, self.refresh_tokens).await?;
        let sign_in = client.times;
        let mut requests = Vec::with_capacity(self.requests.len());
        let mut end = None;
        for planned in self.requests {
            // The session ended before this request if the request is rejected.
            let deadline = client.end();
            let sent = client.send(Duration::from_secs(planned.at), planned.background).await?;
            end = sent.code.map(|code| End { at: deadline, code });
            requests.push(sent);
            if end.is_some() {
                break;
            }
        }
        let end = match end {
            Some(end) => end,
            None => client.wait_for_the_end().await?,
        };
        let until = policy.token_lifetime();
        let is_lost = |sent: &&Sent| sent.at >= until && !sent.background && sent.code.is_none();
        let rejected = requests.iter().filter(is_lost).count();
        Ok(Explored {
            description: policy.describe(),
            warnings,
            sign_in,
            requests,
            end,
            fixed_token: FixedToken { until, rejected },
        })
    }
}

/// A client of sessions whose time only it moves.
struct Client {
    sessions: SlidingSessions,
    clock: ManualClock,
    access_token: String,
    refresh_token: Option<String>,
    times: Times,
}

impl Client {
    async fn sign_in(policy: &Policy, refresh_tokens: bool) -> Result<Self, BoxError> {
        let clock = ManualClock::new(SIGN_IN);
        let secret = [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()];
        // Tables of the smallest size: there is one session.
        let builder = SlidingSessions::builder(JwtKeys::hs256(secret.concat())?, policy.clone())
            .lifecycle_store(MemoryStore::with_capacity(1))
            .renewal_limiter(MemoryLimiter::with_capacity(1))
            .cached_tokens(0)
            .clock(clock.clone());
        let builder = if refresh_tokens { builder.refresh_tokens() } else { builder };
        let sessions = builder.build()?;
        let grant = sessions.start("user").await?;
        Ok(Self {
            sessions,
            clock,
            access_token: grant.access_token().to_owned(),
            refresh_token: grant.refresh_token().map(str::to_owned),
            times: Times {
                token: grant.expires_in(),
                idle: grant.idle_expires_at().since(SIGN_IN),
                absolute: grant.absolute_expires_at().since(SIGN_IN),
            },
        })
    }

    /// When the session ends if nothing happens.
    fn end(&self) -> Duration {
        let deadline = self.times.idle.min(self.times.absolute);
        if self.refresh_token.is_some() { deadline } else { deadline.min(self.times.token) }
    }

    async fn wait_for_the_end(&mut self) -> Result<End, BoxError> {
        let at = self.end();
        let sent = self.send(at, true).await?;
        let code = sent.code.ok_or("the session did not end at its deadline")?;
        Ok(End { at, code })
    }

    async fn send(&mut self, at: Duration, background: bool) -> Result<Sent, BoxError> {
        self.clock.set(SIGN_IN + at);
        let mut sent = Sent {
            at,
            background,
            code: None,
            renewed: false,
            refreshed: false,
            deadlines: self.times,
        };
        let mut response = self.call(background).await?;
        let code =
            |response: &Response<_>| response.extensions().get::<Rejection>().map(Rejection::kind);
        if code(&response) == Some(RejectionKind::TokenExpired) && self.refresh_token.is_some() {
            match self.refresh(background).await {
                Ok(()) => sent.refreshed = true,
                Err(rejection) => {
                    sent.code = Some(rejection.code());
                    return Ok(sent);
                }
            }
            response = self.call(background).await?;
        }
        if let Some(kind) = code(&response) {
            sent.code = Some(kind.code());
            return Ok(sent);
        }
        if let Some(deadlines) = response.extensions().get::<Deadlines>() {
            self.times = Times {
                token: deadlines.token.since(SIGN_IN),
                idle: deadlines.idle.map_or(self.times.idle, |idle| idle.since(SIGN_IN)),
                absolute: deadlines.absolute.since(SIGN_IN),
            };
        }
        if let Some(token) = response.headers().get(RENEWED_TOKEN) {
            token.to_str()?.clone_into(&mut self.access_token);
            self.times.token = expiry(&self.access_token)?.since(SIGN_IN);
            sent.renewed = true;
        }
        sent.deadlines = self.times;
        Ok(sent)
    }

    async fn call(&self, background: bool) -> Result<Response<()>, BoxError> {
        let handler = service_fn(async |request: Request<()>| {
            let session = request.extensions().get::<Session>();
            let deadlines = session.and_then(Session::deadlines);
            let mut response = Response::new(String::new());
            if let Some(deadlines) = deadlines {
                response.extensions_mut().insert(deadlines);
            }
            Ok::<_, Infallible>(response)
        });
        let bearer = format!("Bearer {}", self.access_token);
        let mut request = Request::get("/").header("authorization", bearer);
        if background {
            request = request.header("session-activity", "background");
        }
        let stack = self.sessions.layer().layer(handler);
        Ok(stack.oneshot(request.body(())?).await?.map(drop))
    }

    async fn refresh(&mut self, background: bool) -> Result<(), Rejection> {
        let token = self.refresh_token.clone().unwrap_or_default();
        let refresh = self.sessions.refresh(&token);
        let grant: Grant = if background { refresh.background() } else { refresh }.await?;
        grant.access_token().clone_into(&mut self.access_token);
        self.refresh_token = grant.refresh_token().map(str::to_owned);
        Ok(())
    }
}

/// Reads `exp`, as a client may; the next request verifies the token.
fn expiry(token: &str) -> Result<Timestamp, BoxError> {
    let payload = token.split('.').nth(1).ok_or("a token has three parts")?;
    let claims: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?;
    let exp = claims["exp"].as_u64().ok_or("a token has an expiry")?;
    Ok(Timestamp::from_secs(exp))
}

fn as_seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
