//! A silence and an acknowledgement: who said so, why, and until when.

use super::matcher::Matcher;
use crate::time::Wall;
use std::sync::Arc;

/// No notices of what its scope covers, until a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    pub id: Arc<str>,
    pub matcher: Matcher,
    /// `None` where nobody needs to sign in.
    pub by: Option<String>,
    pub reason: String,
    pub since: Wall,
    pub until: Wall,
}

/// No reminders of one alert. That it got worse and that it is over are told all the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Acknowledgement {
    pub id: Arc<str>,
    /// `H/PATH`, or `H/host` for an outage.
    pub alert: Arc<str>,
    pub by: Option<String>,
    pub reason: String,
    pub since: Wall,
    /// `None`: until it recovers.
    pub until: Option<Wall>,
}
