//! One function determines the status of a session, whoever asks, after every wait for a store.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use tower_sliding_session::{
    MaybeReady, RejectionKind, Timestamp,
    identity::{SessionKeys, StoreKey},
    rejection::{Rejection, RejectionCause, RevocationCause},
    store::{
        RevocationCutoff, Revocations, SessionStore, StoredSession, Tombstone, Touch, TouchOutcome,
    },
};

use crate::test_stack::{BEGIN, HOUR, MINUTE, TestStack, patient, rejected, renewed, with};

/// A store that knows every session as active and revokes all of them during each call.
#[derive(Clone)]
struct RevokesWhileAsked {
    revocations: Arc<Revocations>,
    revokes: Arc<AtomicBool>,
}

impl RevokesWhileAsked {
    fn new() -> Self {
        Self { revocations: Arc::default(), revokes: Arc::new(AtomicBool::new(true)) }
    }

    fn answer<T: Send + 'static>(&self, answer: T) -> MaybeReady<T> {
        let store = self.clone();
        MaybeReady::new(async move {
            tokio::task::yield_now().await;
            if store.revokes.load(SeqCst) {
                let cutoff = RevocationCutoff::new(BEGIN + 2 * HOUR, Timestamp::MAX);
                store.revocations.add_cutoff(StoreKey::everything(None), cutoff);
            }
            Ok(answer)
        })
    }
}

impl SessionStore for RevokesWhileAsked {
    fn touch(&self, _: SessionKeys, touch: Touch) -> MaybeReady<TouchOutcome> {
        self.answer(TouchOutcome::Active(Some(touch.now)))
    }

    fn get(&self, _: SessionKeys) -> MaybeReady<StoredSession> {
        self.answer(StoredSession::Active(BEGIN))
    }

    fn write_tombstone(&self, _: Tombstone) -> MaybeReady<bool> {
        MaybeReady::ready(Ok(true))
    }

    fn revocations(&self) -> Option<Arc<Revocations>> {
        Some(Arc::clone(&self.revocations))
    }
}

fn cause(response: &crate::test_stack::Answer) -> Option<RejectionCause> {
    response.extensions().get::<Rejection>()?.cause()
}

#[tokio::test]
async fn a_session_revoked_while_its_store_is_asked_is_revoked_whether_or_not_its_token_expired() {
    for since_sign_in in [MINUTE, HOUR, 2 * HOUR] {
        let store = RevokesWhileAsked::new();
        let stack = TestStack::with(patient(), |builder| builder.store(store.clone()));
        store.revokes.store(false, SeqCst);
        let token = stack.sign_in().await;
        store.revokes.store(true, SeqCst);
        let response = stack.at(since_sign_in).get(&token).await;
        assert_eq!(rejected(&response), Some(RejectionKind::SessionRevoked), "{since_sign_in:?}");
        let expected = RejectionCause::Revoked(RevocationCause::IssuerCutoff);
        assert_eq!(cause(&response), Some(expected), "{since_sign_in:?}");
    }
}

#[tokio::test]
async fn p04_a_session_revoked_while_its_renewal_asks_the_store_is_not_renewed() {
    let store = RevokesWhileAsked::new();
    store.revokes.store(false, SeqCst);
    let stack = TestStack::with(patient(), |builder| builder.store(store.clone()));
    let token = stack.sign_in().await;
    let revokes = Arc::clone(&store.revokes);
    let handler = move |_| {
        revokes.store(true, SeqCst);
        std::future::ready(crate::test_stack::ok())
    };
    let response = stack.at(31 * MINUTE).send_to(handler, with(&token)).await;
    assert_eq!(rejected(&response), None);
    assert_eq!(renewed(&response), None);
}
