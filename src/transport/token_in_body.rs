//! The marker of responses whose body contains a token.

/// In the extensions of a response, says that its body contains a token, so that no renewal adds
/// another one: a sign-in, a refresh, an account switch.
///
/// [`Grant`](crate::Grant) inserts it as an axum response. Insert it where your own code writes a
/// grant into a body.
///
/// ```
/// use http::Response;
/// use tower_sliding_session::transport::TokenInBody;
///
/// let mut response = Response::new(r#"{"access_token":".."}"#);
/// response.extensions_mut().insert(TokenInBody);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TokenInBody;
