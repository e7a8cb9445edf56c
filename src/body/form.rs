//! How the end of a session is written into a response body.

use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};

/// The form of a response body, by the headers of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Anything else: it ends with an error, so that nobody takes it for whole.
    Raw,
    /// gRPC: trailers after a message.
    Grpc,
    /// gRPC-Web: a frame with the trailers after a message.
    GrpcWeb,
    /// gRPC-Web in base64.
    GrpcWebText,
    /// A stream of the Connect protocol: its last envelope after a message.
    Connect,
    /// Server-sent events: an event after a blank line.
    EventStream,
}

impl Form {
    /// Nothing can be added to a body that is compressed as a whole, or that has a length.
    #[inline(always)]
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        if headers.is_empty() { Self::Raw } else { Self::find(headers) }
    }

    fn find(headers: &HeaderMap) -> Self {
        let mut form = Self::Raw;
        for (name, value) in headers {
            if name == CONTENT_TYPE {
                form = Self::of_content_type(value.as_bytes());
            } else if name == CONTENT_LENGTH
                || name == CONTENT_ENCODING && !value.as_bytes().eq_ignore_ascii_case(b"identity")
            {
                return Self::Raw;
            }
        }
        form
    }

    fn of_content_type(content_type: &[u8]) -> Self {
        let is = |name| is_media_type(content_type, name);
        match content_type {
            [b'a' | b'A', ..] if is("application/grpc") => Self::Grpc,
            [b'a' | b'A', ..] if is("application/grpc-web-text") => Self::GrpcWebText,
            [b'a' | b'A', ..] if is("application/grpc-web") => Self::GrpcWeb,
            [b'a' | b'A', ..] if is("application/connect") => Self::Connect,
            [b't' | b'T', ..] if is("text/event-stream") => Self::EventStream,
            _ => Self::Raw,
        }
    }
}

/// Whether `content_type` is `name`, in any case, alone or followed by a suffix (`+proto`) or
/// parameters.
pub(crate) fn is_media_type(content_type: &[u8], name: &str) -> bool {
    content_type.split_at_checked(name.len()).is_some_and(|(start, rest)| {
        start.eq_ignore_ascii_case(name.as_bytes())
            && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn form(headers: &[(http::HeaderName, &'static str)]) -> Form {
        let headers = headers.iter().map(|(name, value)| (name.clone(), *value));
        Form::from_headers(
            &headers.map(|(name, value)| (name, HeaderValue::from_static(value))).collect(),
        )
    }

    #[test]
    fn the_form_is_that_of_the_content_type() {
        for (content_type, expected) in [
            ("application/grpc", Form::Grpc),
            ("Application/gRPC+proto", Form::Grpc),
            ("application/grpc-web", Form::GrpcWeb),
            ("application/grpc-web+proto", Form::GrpcWeb),
            ("application/grpc-web-text+proto", Form::GrpcWebText),
            ("application/grpc-web-text", Form::GrpcWebText),
            ("application/connect+json", Form::Connect),
            ("application/connect+proto", Form::Connect),
            ("application/connected", Form::Raw),
            ("text/event-stream", Form::EventStream),
            ("text/event-stream; charset=utf-8", Form::EventStream),
            ("text/event-streams", Form::Raw),
            ("application/grpcx", Form::Raw),
            ("application/json", Form::Raw),
            ("", Form::Raw),
        ] {
            assert_eq!(form(&[(CONTENT_TYPE, content_type)]), expected, "{content_type}");
        }
        assert_eq!(form(&[]), Form::Raw);
    }

    #[test]
    fn nothing_is_added_to_a_compressed_body_or_to_one_with_a_length() {
        let streams =
            ["application/grpc-web+proto", "application/connect+json", "text/event-stream"];
        for content_type in streams {
            let content_type = (CONTENT_TYPE, content_type);
            for other in [(CONTENT_ENCODING, "gzip"), (CONTENT_LENGTH, "9")] {
                assert_eq!(form(&[content_type.clone(), other.clone()]), Form::Raw);
                assert_eq!(form(&[other, content_type.clone()]), Form::Raw);
            }
            assert_ne!(form(&[content_type, (CONTENT_ENCODING, "Identity")]), Form::Raw);
        }
    }
}
