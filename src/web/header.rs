//! Headers of every answer: what a browser may do with it (ui/UI.md 4.11).

use super::{Body, Context, Request, Response};
use super::{guard, gzip};
use std::fmt::Write as _;

/// Below this many bytes gzip saves no packet.
const GZIP_MIN: usize = 1024;
/// From this many bytes on speed counts more than size.
const GZIP_FAST_MIN: usize = 256 << 10;

/// None of the browser's devices is of use here. (A bare `()` is no policy: browsers report it.)
const PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

/// Compresses where the client takes it, and adds the security headers.
pub fn finish(context: &Context<'_>, request: &Request<'_>, response: &mut Response) {
    compress(request, response);
    let headers = &mut response.headers;
    headers.push(("Content-Security-Policy", policy(context, request)));
    headers.push(("X-Content-Type-Options", "nosniff".to_owned()));
    headers.push(("Referrer-Policy", "same-origin".to_owned()));
    headers.push(("Cross-Origin-Opener-Policy", "same-origin".to_owned()));
    headers.push(("Permissions-Policy", PERMISSIONS.to_owned()));
}

fn compress(request: &Request<'_>, response: &mut Response) {
    let has = |name: &str| response.headers.iter().any(|(n, _)| *n == name);
    let is_text = response.headers.iter().any(|(name, value)| {
        *name == "Content-Type" && (value.contains("json") || value.starts_with("text/"))
    });
    let bytes = response.body.as_bytes();
    if !is_text || has("Content-Encoding") || bytes.len() < GZIP_MIN {
        return;
    }
    let takes_gzip = gzip::is_accepted(request.header("accept-encoding").unwrap_or_default());
    let compressed =
        takes_gzip.then(|| gzip::compress(bytes, if bytes.len() < GZIP_FAST_MIN { 8 } else { 1 }));
    if !has("Vary") {
        response.headers.push(("Vary", "Accept-Encoding".to_owned()));
    }
    if let Some(compressed) = compressed {
        response.body = Body::Owned(compressed);
        response.headers.push(("Content-Encoding", "gzip".to_owned()));
    }
}

/// Nothing from elsewhere, nothing inline; live updates from the WebSocket ports of the host that
/// was asked.
fn policy(context: &Context<'_>, request: &Request<'_>) -> String {
    let mut text = String::from(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'",
    );
    if let Some(authority) = guard::host(context, request) {
        let host = authority.url_host();
        for (scheme, port) in [("ws", context.facts.ws), ("wss", context.facts.wss)] {
            if let Some(port) = port {
                let _ = write!(text, " {scheme}://{host}:{port}");
            }
        }
    }
    text.push_str("; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
    text
}
