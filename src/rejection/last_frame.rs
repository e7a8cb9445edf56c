//! The end of a session in a response that is still sent.

use std::{error::Error, fmt};

use base64_simd::STANDARD;
use bytes::Bytes;
use http::HeaderMap;

use super::{connect, grpc, rejection::Rejection};
use crate::body::{BoxError, LastFrame};

impl LastFrame for Rejection {
    fn trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::with_capacity(3);
        grpc::write_status(*self, &mut trailers);
        trailers
    }

    /// The trailers as lines of HTTP/1, after their flag and length (gRPC-Web's specification).
    fn web_trailers(&self, text: bool) -> Bytes {
        let (kind, title) = (self.kind(), self.title());
        let lines = format!(
            "grpc-status:{}\r\ngrpc-message:{title}\r\nsession-error:{}\r\n",
            kind.grpc_status(),
            kind.code(),
        );
        let length = u32::try_from(lines.len()).unwrap_or_default().to_be_bytes();
        let frame = [&[0x80], &length[..], lines.as_bytes()].concat();
        if text { STANDARD.encode_to_string(frame).into() } else { frame.into() }
    }

    fn envelope(&self) -> Bytes {
        connect::end_stream(*self)
    }

    fn event(&self) -> Bytes {
        format!("event: session-ended\ndata: {{\"code\":\"{}\"}}\n\n", self.code()).into()
    }

    fn error(&self) -> BoxError {
        Box::new(StreamEnded(*self))
    }
}

/// The error of a body that ended with its session.
#[derive(Debug)]
struct StreamEnded(Rejection);

impl fmt::Display for StreamEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stream ended with its session: {}", self.0.code())
    }
}

impl Error for StreamEnded {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejection::RejectionKind;

    #[test]
    fn p18_the_last_frame_of_each_form_has_the_code() {
        let rejection = Rejection::new(RejectionKind::SessionRevoked);
        let trailers = rejection.trailers();
        assert_eq!(trailers["grpc-status"], "16");
        assert_eq!(trailers["grpc-message"], "The session was revoked.");
        assert_eq!(trailers["session-error"], "session_revoked");
        let frame = rejection.web_trailers(false);
        let lines = "grpc-status:16\r\ngrpc-message:The session was revoked.\r\n\
            session-error:session_revoked\r\n";
        assert_eq!(frame[0], 0x80);
        assert_eq!(frame[1..5], u32::try_from(lines.len()).expect("short").to_be_bytes());
        assert_eq!(&frame[5..], lines.as_bytes());
        let text = rejection.web_trailers(true);
        assert_eq!(STANDARD.decode_to_vec(&text).expect("base64"), frame);
        assert_eq!(
            rejection.event(),
            "event: session-ended\ndata: {\"code\":\"session_revoked\"}\n\n"
        );
        let envelope = rejection.envelope();
        let end = r#"{"error":{"code":"unauthenticated","message":"The session was revoked."},"metadata":{"session-error":["session_revoked"]}}"#;
        assert_eq!(envelope[0], 0b10);
        assert_eq!(envelope[1..5], u32::try_from(end.len()).expect("short").to_be_bytes());
        assert_eq!(&envelope[5..], end.as_bytes());
        let unavailable = Rejection::new(RejectionKind::StoreUnavailable);
        assert_eq!(unavailable.trailers()["grpc-status"], "14");
        let error = unavailable.error();
        assert_eq!(error.to_string(), "the stream ended with its session: store_unavailable");
        assert!(error.source().is_some());
    }
}
