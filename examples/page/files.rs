//! The files of a page. Every address in them is relative, so that the page works below any path.

use axum::{Router, http::header, response::IntoResponse, routing::get};
use tower_sliding_session::PathRules;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css";
const JS: &str = "text/javascript";

/// The look that the pages share.
pub(crate) const BASE_CSS: PageFile = PageFile::css("/base.css", include_str!("base.css"));

/// No script and no style from elsewhere, and none inside of the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
     style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

#[derive(Clone, Copy)]
pub(crate) struct PageFile {
    pub(crate) path: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) content: &'static str,
}

impl PageFile {
    pub(crate) const fn html(path: &'static str, content: &'static str) -> Self {
        Self { path, media_type: HTML, content }
    }

    pub(crate) const fn css(path: &'static str, content: &'static str) -> Self {
        Self { path, media_type: CSS, content }
    }

    pub(crate) const fn js(path: &'static str, content: &'static str) -> Self {
        Self { path, media_type: JS, content }
    }
}

/// Nobody needs a session to load the page.
pub(crate) fn public(files: &[PageFile], rules: PathRules) -> PathRules {
    files.iter().fold(rules, |rules, file| rules.public(file.path))
}

pub(crate) fn routes<S>(files: &[PageFile]) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    files.iter().fold(Router::new(), |router, &file| {
        router.route(file.path, get(async move || respond(file)))
    })
}

fn respond(file: PageFile) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, file.media_type),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, file.content)
}
