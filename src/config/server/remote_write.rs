//! `remote_write`: the receiver of samples (Prometheus remote-write), and how much may wait for it.

use super::{channel, key};
use crate::config::agent::set;
use crate::config::problem::quoted;
use crate::config::scalar;
use crate::config::secret::Secret;
use crate::config::section::{At, Report, Section};
use std::collections::BTreeMap;
use std::time::Duration;

/// `remote_write`
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteWrite {
    pub enabled: bool,
    /// It may hold a password.
    pub url: Secret,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub token: Option<Secret>,
    /// Sent as `X-Scope-OrgID`.
    pub tenant: Option<String>,
    /// Given to every series.
    pub labels: BTreeMap<String, String>,
    /// Of one request.
    pub timeout: Duration,
    /// How long samples are gathered for a request.
    pub wait: Duration,
    /// Samples in one request at most.
    pub batch_max: usize,
    /// Bytes that may wait on disk.
    pub queue_max: u64,
}

/// Labels that the series have of their own.
const OWN: [&str; 5] = ["__name__", "host", "plugin", "metric", "family"];

pub(super) fn check(report: &mut Report<'_>, at: &At<'_>) -> Option<RemoteWrite> {
    let section = Section::open(report, at, key::REMOTE_WRITE)?;
    section.require(report, "url", "add url: https://HOST/api/v1/write");
    let mut remote = RemoteWrite {
        enabled: section.bool(report, "enabled").unwrap_or(true),
        url: section.read(report, "url", channel::secret_url)?,
        user: section.text(report, "user"),
        password: section.secret(report, "password"),
        token: section.secret(report, "token"),
        tenant: section.text(report, "tenant"),
        labels: BTreeMap::new(),
        timeout: Duration::from_secs(10),
        wait: Duration::from_secs(5),
        batch_max: 2000,
        queue_max: 256 << 20,
    };
    set(&mut remote.timeout, section.duration(report, "timeout"));
    set(&mut remote.wait, section.duration(report, "wait"));
    let batch = section.int(report, "batch_max").and_then(|n| usize::try_from(n).ok());
    set(&mut remote.batch_max, batch);
    set(&mut remote.queue_max, section.size(report, "queue_max"));
    if remote.token.is_some() && remote.user.is_some() {
        let what = "token and user cannot both be given".to_owned();
        report.error(at, "E0106", what, "keep the one that the receiver takes");
    }
    if let Some(labels) = section.get("labels") {
        remote.labels = check_labels(report, &labels);
    }
    Some(remote)
}

fn check_labels(report: &mut Report<'_>, at: &At<'_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (key, node) in at.entries(report) {
        let at = at.child(key, node);
        if !is_label(&key.text) || OWN.contains(&key.text.as_str()) {
            let what = format!("{} is not a label that can be given", quoted(&key.text));
            let fix = "use letters, digits and '_'; host, plugin, metric and family are taken";
            report.name_error(&at, what, fix);
            continue;
        }
        match scalar::text(&at, 256) {
            Ok(text) => drop(labels.insert(key.text.clone(), text)),
            Err(fault) => report.fault(&at, fault),
        }
    }
    labels
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`; two underscores at the front are Prometheus' own.
fn is_label(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    name.bytes().next().is_some_and(letter)
        && name.len() <= 64
        && !name.starts_with("__")
        && name.bytes().all(|b| letter(b) || b.is_ascii_digit())
}
