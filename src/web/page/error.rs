//! Errors as pages, for a person with a browser.

use super::shell::Shell;
use super::{Pages, page};
use crate::web::http::{Body, Response};
use crate::web::problem::{Problem, title};
use crate::web::{Answer, Call};
use serde::Serialize;

#[derive(Serialize)]
struct ErrorPage {
    shell: Shell,
    status: u16,
    title: &'static str,
    detail: String,
    hint: Option<String>,
    /// Names that may have been meant, with their links.
    near: Vec<(String, String)>,
}

/// A page that needs nothing but the style sheet; `again` is where the reader wanted to go.
pub fn failed_page(
    pages: &Pages,
    problem: &Problem,
    heading: &str,
    again: Option<String>,
) -> Option<Response> {
    #[derive(Serialize)]
    struct Failed<'a> {
        css: String,
        status: u16,
        heading: &'a str,
        detail: &'a str,
        hint: &'a str,
        again: Option<String>,
    }
    let css = pages.assets.url("hb.css").unwrap_or_default();
    let hint = problem.hint.as_deref().unwrap_or_default();
    let (status, detail) = (problem.status, &*problem.detail);
    let failed = Failed { css, status, heading, detail, hint, again };
    let text = pages.render("failed.html", &failed).ok()?;
    let mut headers = vec![
        ("Content-Type", "text/html; charset=utf-8".to_owned()),
        ("Cache-Control", "no-store".to_owned()),
        ("Content-Security-Policy", "default-src 'none'; style-src 'self'".to_owned()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
    ];
    headers.extend(problem.wait().map(|secs| ("Retry-After", secs.to_string())));
    Some(Response { status, headers, body: Body::Owned(text.into_bytes()) })
}

/// The problem as a page; `near` are hosts that may have been meant.
pub fn error_page(call: &Call<'_>, problem: &Problem, near: Vec<(String, String)>) -> Answer {
    let context = ErrorPage {
        shell: Shell::new(call, "", title(problem.status)),
        status: problem.status,
        title: title(problem.status),
        detail: problem.detail.clone(),
        hint: problem.hint.as_ref().map(|hint| hint.to_string()),
        near,
    };
    page(call, problem.status, "error.html", &context)
}
