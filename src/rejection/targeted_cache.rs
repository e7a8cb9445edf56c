//! Header fields that control one kind of shared cache, whatever `Cache-Control` says.

use http::HeaderName;

/// How long nginx stores a response.
pub(crate) const X_ACCEL_EXPIRES: HeaderName = HeaderName::from_static("x-accel-expires");

const TARGETED: [&str; 2] = ["edge-control", "surrogate-control"];

/// Targeted cache control (RFC 9213): `CDN-Cache-Control`, `Cloudflare-CDN-Cache-Control` and others.
const TARGETED_SUFFIX: &str = "-cache-control";

/// Whether a shared cache obeys the field `name` before `Cache-Control`.
pub(crate) fn is_targeted(name: &HeaderName) -> bool {
    let text = name.as_str();
    text.ends_with(TARGETED_SUFFIX) || *name == X_ACCEL_EXPIRES || TARGETED.contains(&text)
}
