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

/// A page that needs nothing but the style sheet.
pub fn failed_page(pages: &Pages, problem: &Problem) -> Option<Response> {
    #[derive(Serialize)]
    struct Failed<'a> {
        css: String,
        detail: &'a str,
        hint: &'a str,
    }
    let css = pages.assets.url("hb.css").unwrap_or_default();
    let hint = problem.hint.as_deref().unwrap_or_default();
    let text = pages.render("failed.html", &Failed { css, detail: &problem.detail, hint }).ok()?;
    let headers = vec![
        ("Content-Type", "text/html; charset=utf-8".to_owned()),
        ("Cache-Control", "no-store".to_owned()),
        ("Content-Security-Policy", "default-src 'none'; style-src 'self'".to_owned()),
    ];
    Some(Response { status: 500, headers, body: Body::Owned(text.into_bytes()) })
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
