//! Errors of the API as problem documents (RFC 9457), with `code`, `hint` and `field` beside the
//! standard members.

use super::http::{Body, Response};
use serde::Serialize;
use std::borrow::Cow;

/// What went wrong with a request, for a program (`code`) and for a person (`detail`, `hint`).
/// Boxed: the way that does not fail shall not carry it around.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem(Box<Document>);

/// The members of the document.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Document {
    /// No page describes them one by one: `about:blank`, and `title` is the status in words.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    pub status: u16,
    pub detail: String,
    /// Stable, for programs.
    pub code: &'static str,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Cow<'static, str>>,
    /// The parameter or member of the body that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
    /// Where there are several, each in one line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Value of the `Allow` header of a 405.
    #[serde(skip)]
    allow: Option<String>,
    /// Value of `Retry-After`, seconds.
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem(Box::new(Document {
            kind: "about:blank",
            title: title(status),
            status,
            detail: detail.into(),
            code,
            hint: None,
            field: None,
            problems: Vec::new(),
            allow: None,
            retry_after: None,
        }))
    }

    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Problem {
        self.0.hint = Some(hint.into());
        self
    }

    pub fn field(mut self, field: &'static str) -> Problem {
        self.0.field = Some(field);
        self
    }

    /// 405 with the methods that the resource has.
    pub fn not_allowed(allow: impl Into<String>) -> Problem {
        let allow = allow.into();
        let mut problem =
            Problem::new(405, "method_not_allowed", "The resource does not have this method.")
                .hint(format!("Use {allow}."));
        problem.0.allow = Some(allow);
        problem
    }

    /// When to ask again, seconds.
    pub fn retry_after(mut self, secs: u64) -> Problem {
        self.0.retry_after = Some(secs);
        self
    }

    /// When to ask again, seconds.
    pub fn wait(&self) -> Option<u64> {
        self.0.retry_after
    }

    /// The value of the `Allow` header of a 405.
    pub fn allow(&self) -> Option<String> {
        self.0.allow.clone()
    }

    pub fn into_response(mut self) -> Response {
        if self.0.hint.is_none() {
            self.0.hint = Some(common_hint(self.0.status, self.0.code).into());
        }
        let body = serde_json::to_vec(&*self.0).unwrap_or_default();
        let mut headers = vec![
            ("Content-Type", "application/problem+json".to_owned()),
            ("Cache-Control", "no-store".to_owned()),
        ];
        if let Some(allow) = self.0.allow {
            headers.push(("Allow", allow));
        }
        if let Some(secs) = self.0.retry_after {
            headers.push(("Retry-After", secs.to_string()));
        }
        if self.0.status == 401 {
            headers.push(("WWW-Authenticate", "Bearer".to_owned()));
        }
        Response { status: self.0.status, headers, body: Body::Owned(body) }
    }
}

impl std::ops::Deref for Problem {
    type Target = Document;

    fn deref(&self) -> &Document {
        &self.0
    }
}

impl std::ops::DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Document {
        &mut self.0
    }
}

/// How to mend what says no more of itself.
const fn common_hint(status: u16, code: &str) -> &'static str {
    match (status, code.as_bytes()) {
        (_, b"bad_json") => "Send one JSON object; a comma or a quote may be missing.",
        (400 | 422, _) => "GET /api/0/openapi.json says what this request takes.",
        (401, _) => "Sign in, or send a token as Authorization: Bearer.",
        (403, _) => "Ask an admin of this server.",
        (404, _) => "Look it up again in the list that named it: it may be over.",
        (409, _) => "Look at the state of it first, and try again.",
        (429 | 503, _) => "Try again in a moment; hbd status and the log tell more.",
        _ => "The server's log tells more of it.",
    }
}

/// The status in words.
pub const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}
