//! Breakers of a server that is there or not.

use super::*;

#[cfg(feature = "postgres")]
const STORE: StoreKind = StoreKind::Sql;
#[cfg(not(feature = "postgres"))]
const STORE: StoreKind = StoreKind::Redis;

/// A server that is there or not.
fn breaker() -> (Arc<Breaker>, watch::Sender<bool>) {
    let (server, is_there) = watch::channel(false);
    let probe: Probe = Box::new(move || {
        let is_there = *is_there.borrow();
        Box::pin(async move { is_there })
    });
    (Breaker::with_silence(STORE, probe, Duration::ZERO), server)
}

fn ask(breaker: &Breaker) -> Call<'_> {
    breaker.ask().expect("the server is asked")
}

#[tokio::test]
async fn p23_a_server_is_not_asked_after_three_failures_in_a_row_until_it_is_found() {
    let (breaker, server) = breaker();
    for _ in 0..9 {
        ask(&breaker).fail();
        ask(&breaker).fail();
        breaker.answer();
    }
    ask(&breaker).fail();
    ask(&breaker).fail();
    ask(&breaker).fail();
    assert!(breaker.ask().is_none());
    breaker.opened().await;
    server.send_replace(true);
    breaker.closed().await;
    ask(&breaker).fail();
    ask(&breaker).fail();
    assert!(breaker.ask().is_some(), "it counts anew");
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn p39_calls_without_a_connection_open_it_only_if_nothing_is_answered() {
    let (breaker, _server) = breaker();
    let calls: Vec<_> = (0..FAILURES).map(|_| ask(&breaker)).collect();
    breaker.answer();
    calls.into_iter().for_each(Call::fail_unless_others_succeed);
    assert!(!breaker.is_open());
    (0..FAILURES).for_each(|_| ask(&breaker).fail_unless_others_succeed());
    assert!(breaker.is_open());
}

#[tokio::test]
async fn p23_a_probe_that_waits_does_not_delay_the_next_one() {
    let number = AtomicU64::new(0);
    let probe: Probe = Box::new(move || {
        let is_lost = number.fetch_add(1, Relaxed) == 0;
        Box::pin(async move { !is_lost || std::future::pending().await })
    });
    let breaker = Breaker::new(STORE, probe);
    (0..FAILURES).for_each(|_| ask(&breaker).fail());
    breaker.closed().await;
}

#[tokio::test]
async fn p23_a_server_that_answers_others_is_not_silent() {
    let (breaker, _server) = breaker();
    let mut calls: Vec<_> = (0..9).map(|_| ask(&breaker)).collect();
    breaker.answer();
    for call in &mut calls {
        call.wait();
    }
    assert!(breaker.ask().is_some(), "one answer came since they began to wait");
    for call in &mut calls[..2] {
        call.wait();
    }
    assert!(breaker.ask().is_some(), "two have waited again");
    calls[2].wait();
    assert!(breaker.ask().is_none(), "three have");
    calls.into_iter().for_each(Call::end);
}

/// What it was asked on the open connections may wait for a lock.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn p23_calls_of_the_lifecycle_go_on_until_a_new_connection_is_silent_too() {
    let (server, is_there) = watch::channel(None);
    let probe: Probe = Box::new(move || {
        let mut is_there = is_there.clone();
        Box::pin(async move {
            let found = is_there.wait_for(Option::is_some).await;
            found.is_ok_and(|found| *found == Some(true))
        })
    });
    let breaker = Breaker::with_silence(STORE, probe, Duration::ZERO);
    let fall_silent = async || {
        let mut calls = [ask(&breaker), ask(&breaker), ask(&breaker)];
        calls.iter_mut().for_each(Call::wait);
        calls.into_iter().for_each(Call::end);
        breaker.opened().await;
        assert!(breaker.ask().is_none());
        assert!(breaker.ask_patiently().is_some());
    };
    fall_silent().await;
    server.send_replace(Some(true));
    breaker.closed().await;
    server.send_replace(None);
    fall_silent().await;
    server.send_replace(Some(false));
    breaker.lost().await;
    assert!(breaker.ask_patiently().is_none());
    server.send_replace(Some(true));
    breaker.closed().await;
    server.send_replace(None);
    fall_silent().await;
    // The probe waits.
    breaker.lost().await;
}

/// Calls that were begun before go on to wait.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn p23_a_lost_server_stays_lost_while_other_calls_wait() {
    let (breaker, _server) = breaker();
    let mut waiting = [ask(&breaker), ask(&breaker), ask(&breaker)];
    for _ in 0..FAILURES {
        breaker.ask().expect("it is asked").fail();
    }
    breaker.lost().await;
    waiting.iter_mut().for_each(Call::wait);
    assert!(breaker.ask_patiently().is_none());
    waiting.into_iter().for_each(Call::end);
}

/// A node that has too much to do takes long to read the answers that are there.
#[tokio::test]
async fn p39_a_short_silence_opens_no_breaker() {
    let breaker = Breaker::new(STORE, Box::new(|| Box::pin(std::future::pending())));
    let mut calls: Vec<_> = (0..99).map(|_| ask(&breaker)).collect();
    calls.iter_mut().for_each(Call::wait);
    assert!(breaker.ask().is_some());
    calls.into_iter().for_each(Call::end);
}

#[tokio::test]
async fn p23_a_call_that_its_caller_gives_up_counts_if_it_has_waited() {
    let (breaker, _server) = breaker();
    for _ in 0..9 {
        drop(ask(&breaker));
    }
    assert!(breaker.ask().is_some());
    let calls: Vec<_> = (0..3).map(|_| ask(&breaker)).collect();
    sleep(ANSWER_TIME_LIMIT).await;
    // As a hyper task does that ends on a thread of its own.
    let breaker_of_calls = Arc::clone(&breaker);
    std::thread::scope(|scope| scope.spawn(move || drop(calls)).join()).expect("no panic");
    assert!(breaker_of_calls.ask().is_none());
}
