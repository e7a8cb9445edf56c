//! TLS, with certificates that the test signs itself.

use super::*;

/// A server, and its certificate, which it has signed itself.
fn start() -> (RedisServer, String) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let certified = certified.expect("a certificate");
    let certificate = certified.cert.pem();
    let server = RedisServer::start_with_tls(&certificate, &certified.signing_key.serialize_pem());
    (server, certificate)
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
