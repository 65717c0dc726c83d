//! Errors as pages, for a person with a browser.

use super::page;
use super::shell::Shell;
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
