//! What the clones of a client share: the tokens, and what responses mean for them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use http::{HeaderMap, HeaderName, Request, Uri, header::AUTHORIZATION};

use super::{
    answer::{expiry_of, max_age_of},
    event::ClientEvent,
    refresh::{Refresh, RefreshError, RefreshRequest},
    single_flight::{Outcome, SingleFlight, Waiting},
    token_store::{TokenChange, TokenStore},
    tokens::Tokens,
};
use crate::rejection::RejectionKind;

pub(super) type OnEvent = dyn Fn(ClientEvent) + Send + Sync;
pub(super) type IsOurs = dyn Fn(&Uri) -> bool + Send + Sync;

pub(super) struct ClientState {
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) refresh: Option<Arc<dyn Refresh>>,
    pub(super) on_event: Option<Box<OnEvent>>,
    pub(super) is_ours: Option<Box<IsOurs>>,
    pub(super) renewed_token_header: HeaderName,
    pub(super) single_flight: SingleFlight,
    /// How many requests with a token await their response.
    pub(super) awaited: AtomicUsize,
    /// The number of the request with a token that was sent last.
    pub(super) last_sent: AtomicU64,
    /// The number of the latest request whose response has said when the session expires.
    pub(super) last_told: AtomicU64,
}

/// A request with a token that awaits its response.
pub(super) struct Awaited(Arc<ClientState>);

impl Awaited {
    pub(super) fn new(state: Arc<ClientState>) -> Self {
        state.awaited.fetch_add(1, Ordering::Relaxed);
        Self(state)
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.awaited.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What follows from a rejection.
pub(super) enum Reaction {
    /// The application gets the response as it came.
    Respond,
    /// The request is sent again, with the tokens that there are then.
    Repeat,
    /// The request is sent again after a refresh.
    RepeatAfter(Waiting),
}

impl ClientState {
    /// The tokens that `request` is sent with. None for one with an `Authorization` of its own, and
    /// for another server.
    pub(super) fn tokens_for<B>(&self, request: &Request<B>) -> Option<Tokens> {
        let is_ours = |uri| self.is_ours.as_ref().is_none_or(|is_ours| is_ours(uri));
        if request.headers().contains_key(AUTHORIZATION) || !is_ours(request.uri()) {
            return None;
        }
        self.store.get()
    }

    /// Takes the renewed token from the headers or trailers of a response to a request with `sent`.
    pub(super) fn take_renewed(&self, headers: &HeaderMap, sent: &Tokens) {
        let Some(renewed) = headers.get(&self.renewed_token_header) else { return };
        let renewed = renewed.to_str().ok().and_then(|token| Tokens::new(token).ok());
        let Some(renewed) = renewed else { return };
        self.replace(|held| held.renewed_by(&renewed, sent));
    }

    /// The number of the request that is sent now.
    pub(super) fn next_number(&self) -> u64 {
        self.last_sent.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Tells when the session expires, if the response to request `number`, with `sent`, says so: of
    /// the session at hand, and not after the response to a later request (P8).
    pub(super) fn tell_expiry(&self, headers: &HeaderMap, sent: &Tokens, number: u64) {
        let Some(expiry) = expiry_of(headers) else { return };
        let is_current = self.store.get().is_some_and(|held| held.is_of_session_of(sent));
        if is_current && self.last_told.fetch_max(number, Ordering::Relaxed) < number {
            self.tell(expiry);
        }
    }

    /// What a rejection of a request with `sent` means. `may_refresh`: the request has not waited for
    /// a refresh yet.
    pub(super) fn react(
        self: &Arc<Self>,
        kind: RejectionKind,
        headers: &HeaderMap,
        sent: &Tokens,
        is_background: bool,
        may_refresh: bool,
    ) -> Reaction {
        match kind {
            RejectionKind::StoreUnavailable => self.tell(ClientEvent::Unavailable),
            RejectionKind::RecentAuthenticationRequired => {
                let max_age = max_age_of(headers);
                self.tell(ClientEvent::RecentAuthenticationRequired { max_age });
            }
            RejectionKind::TokenExpired
            | RejectionKind::InvalidToken
            | RejectionKind::SessionExpiredIdle
            | RejectionKind::SessionExpiredAbsolute
            | RejectionKind::SessionRevoked => {
                return self.react_to_refused_token(kind, sent, is_background, may_refresh);
            }
            // Neither the session nor its tokens are affected.
            RejectionKind::AccessDenied
            // Something between has removed the token.
            | RejectionKind::MissingToken
            // The application has called the route of a refresh itself.
            | RejectionKind::InvalidRefreshToken
            | RejectionKind::RefreshTokenReused => {}
        }
        Reaction::Respond
    }

    fn react_to_refused_token(
        self: &Arc<Self>,
        kind: RejectionKind,
        sent: &Tokens,
        is_background: bool,
        may_refresh: bool,
    ) -> Reaction {
        let undecided = self.single_flight.lock();
        let Some(held) = self.store.get() else { return Reaction::Respond };
        if !held.has_access_token_of(sent) {
            // A late rejection of a token that was replaced meanwhile.
            return if held.may_repeat(sent) { Reaction::Repeat } else { Reaction::Respond };
        }
        let (Some(refresh), Some(refresh_token), RejectionKind::TokenExpired) =
            (&self.refresh, held.shared_refresh_token(), kind)
        else {
            drop(undecided);
            let may_be_renewed = self.awaited.load(Ordering::Relaxed) > 0;
            if kind == RejectionKind::TokenExpired && may_be_renewed {
                // A handler that took longer than the token lived: its response has the successor.
                return Reaction::Respond;
            }
            self.sign_out_if(kind, |held| held.has_access_token_of(sent));
            return Reaction::Respond;
        };
        if !may_refresh {
            // The server refuses what it has just minted: its clock, or ours of the policy, is wrong.
            return Reaction::Respond;
        }
        let waiting = undecided.join_or_spawn(|| {
            let answer = refresh.refresh(RefreshRequest::new(refresh_token, is_background));
            let state = Arc::clone(self);
            async move { state.settle(answer.await, &held) }
        });
        waiting.map_or(Reaction::Respond, Reaction::RepeatAfter)
    }

    /// As after `token_expired`, once more: the refresh that was waited for is lost.
    pub(super) fn refresh_again(self: &Arc<Self>, sent: &Tokens, is_background: bool) -> Reaction {
        self.react_to_refused_token(RejectionKind::TokenExpired, sent, is_background, true)
    }

    /// Stores what `exchanged` was exchanged for, or deletes it if the session has ended.
    fn settle(&self, answer: Result<Tokens, RefreshError>, exchanged: &Tokens) -> Outcome {
        match answer {
            Ok(refreshed) => {
                self.replace(|held| held.refreshed_by(refreshed.clone(), exchanged));
                Outcome::Settled
            }
            Err(error) => {
                if let Some(kind) = error.end() {
                    self.sign_out_if(kind, |held| held.has_refresh_token_of(exchanged));
                } else {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(error, "the tokens were not refreshed");
                    self.tell(ClientEvent::Unavailable);
                }
                Outcome::Failed
            }
        }
    }

    /// The tokens with which a request that was sent with `sent` is repeated, if there are any.
    pub(super) fn tokens_to_repeat(&self, sent: &Tokens) -> Option<Tokens> {
        let held = self.store.get()?;
        (!held.has_access_token_of(sent) && held.may_repeat(sent)).then_some(held)
    }

    /// Deletes the tokens if `is_refused` says that they are those which a rejection of `kind` was
    /// for: a late one ends no other session.
    pub(super) fn sign_out_if(&self, kind: RejectionKind, is_refused: impl Fn(&Tokens) -> bool) {
        let mut is_cleared = false;
        self.store.update(&mut |held| {
            is_cleared = held.is_some_and(&is_refused);
            if is_cleared { TokenChange::Clear } else { TokenChange::Keep }
        });
        if is_cleared {
            self.tell(ClientEvent::SignedOut(kind));
        }
    }

    /// Replaces the tokens if they have a successor. What was signed out stays signed out.
    fn replace(&self, successor: impl Fn(&Tokens) -> Option<Tokens>) {
        let mut is_replaced = false;
        self.store.update(&mut |held| {
            let successor = held.and_then(&successor);
            is_replaced = successor.is_some();
            successor.map_or(TokenChange::Keep, TokenChange::Set)
        });
        if is_replaced {
            self.tell(ClientEvent::Renewed);
        }
    }

    fn tell(&self, event: ClientEvent) {
        if let Some(on_event) = &self.on_event {
            on_event(event);
        }
    }
}
