//! TLS, with certificates that the test signs itself.

use super::{nodes::*, redis_server::RedisCluster, *};
use crate::{
    clock::ManualClock,
    identity::Scopes,
    store::{LifecycleStore as _, SessionRecord, SignIn},
};

/// The certificate of `localhost`, which it has signed itself, and its key.
fn certificate() -> (String, String) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let certified = certified.expect("a certificate");
    (certified.cert.pem(), certified.signing_key.serialize_pem())
}

/// A server, and its certificate.
fn start() -> (RedisServer, String) {
    let (certificate, key) = certificate();
    (RedisServer::start_with_tls(&certificate, &key, &[]), certificate)
}

#[tokio::test]
async fn a_server_with_a_trusted_certificate_is_connected_to() {
    let (server, certificate) = start();
    let limiter = RedisLimiter::at(server.tls_url()).root_certificate(certificate);
    let limiter = limiter.time_limit(BOUND).connect().await;
    crate::store::conformance::renewal_limiter(limiter.expect("the certificate is trusted")).await;
}

#[tokio::test]
async fn a_server_with_an_unknown_certificate_is_an_error() {
    let (server, _) = start();
    let limiter = RedisLimiter::at(server.tls_url()).time_limit(BOUND).connect().await;
    let error = limiter.expect_err("nobody knows the issuer");
    let text = format!("{error:?}");
    assert!(text.contains("the connection to Redis failed"), "{text}");
}

/// Its servers name each other as the certificate does, which names no address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_with_a_trusted_certificate_serves_every_user_also_after_a_failover() {
    let (certificate, key) = certificate();
    let mut cluster = RedisCluster::start_with_tls(&certificate, &key);
    let connect = async || {
        let store = RedisStore::cluster(cluster.tls_urls()).root_certificate(&*certificate);
        let store = store.time_limit(BOUND).clock(ManualClock::new(NOW)).connect().await;
        store.expect("the certificate is trusted")
    };
    let (one, other) = (connect().await, connect().await);
    // Users of every primary.
    let records: Vec<_> = (0..40).map(|user| record_of(&format!("user {user}"))).collect();
    for record in &records {
        let sign_in = SignIn::new(record.clone(), audit("session_started"));
        one.begin(sign_in).await.expect("it begins");
    }
    // The other node has seen none of them.
    cluster.replace_primary_that(|_| true);
    for record in &records {
        let active =
            async { while !matches!(touch(&other, record).await, Ok(TouchOutcome::Active(_))) {} };
        tokio::time::timeout(BOUND, active).await.expect("a replica has taken over");
    }
}

fn record_of(sub: &str) -> SessionRecord {
    let (key, sid) = (StoreKey::session(None, sub), sub.to_owned());
    let scopes = Scopes::new(None, None, sub);
    SessionRecord::new(key, sid, sub, scopes, NOW, IDLE, NOW + DAY)
}

async fn touch(store: &RedisStore, record: &SessionRecord) -> Result<TouchOutcome, StoreError> {
    store.touch(record.keys(), Touch::new(NOW, NOW, IDLE)).await
}
