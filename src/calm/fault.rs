//! Why a request was not taken: which member, what is wrong, and how to mend it.

use std::borrow::Cow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// What was sent cannot be meant (422).
    Invalid,
    /// There is nothing of that id (404).
    NotFound,
    /// It stands in the configuration and is changed there (409).
    Configured,
    /// A limit of `limits` is reached (429).
    Full,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub kind: FaultKind,
    /// The member of the body; `None` where it is not one of them.
    pub field: Option<&'static str>,
    pub what: String,
    pub hint: Option<Cow<'static, str>>,
}

impl Fault {
    pub fn new(field: &'static str, what: impl Into<String>) -> Fault {
        Fault { field: Some(field), ..Fault::of(FaultKind::Invalid, what) }
    }

    pub fn of(kind: FaultKind, what: impl Into<String>) -> Fault {
        Fault { kind, field: None, what: what.into(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Fault {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.field {
            Some(field) => write!(f, "{field}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}
