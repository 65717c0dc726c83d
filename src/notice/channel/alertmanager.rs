//! Prometheus Alertmanager, API v2 (prometheus.io/docs/alerting/latest/alerts_api,
//! api/v2/openapi.yaml): a list of alerts, each known by its labels.
//!
//! The labels come from the trouble alone. Whichever server of a pair sends them, and whether it
//! tells the begin or the end, they are the same, so Alertmanager gives them one fingerprint.

use super::push::credentials;
use super::webhook::map;
use super::{Fault, HttpRequest, Work};
use crate::config::server::Level;
use crate::notice::{Notice, Subject};
use crate::time::{Duration, Wall};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What is firing stays so until its end is told: notices are sent once, not every few minutes.
const FIRING: Duration = Duration::from_secs(365 * 86_400);
/// What has no end of its own.
const EVENT: Duration = Duration::from_secs(300);

pub fn render(work: &Work<'_>) -> Result<HttpRequest, Fault> {
    let own = map(work, "labels")?;
    let mut alerts: BTreeMap<Vec<(String, String)>, Value> = BTreeMap::new();
    for notice in &work.message.notices {
        for (labels, fires) in states(notice) {
            let labels: BTreeMap<String, String> =
                own.clone().into_iter().chain(labels).filter(|(_, v)| !v.is_empty()).collect();
            let alert = alert(work, notice, &labels, fires);
            // The notices of a subject stand in their order: the last one says how it is now.
            alerts.insert(labels.into_iter().collect(), alert);
        }
    }
    if alerts.is_empty() {
        alerts.insert(Vec::new(), test(work, own));
    }
    let body = Value::Array(alerts.into_values().collect());
    let mut request = work.post(format!("{}/api/v2/alerts", work.base()?), &body);
    if let Some(credentials) = credentials(work)? {
        request.headers.push(("Authorization".to_owned(), credentials));
    }
    Ok(request)
}

/// The alerts that a notice begins or ends. `severity` is a label because routes go by it; a
/// trouble that changes its level ends the alert of every other one.
fn states(notice: &Notice) -> Vec<(BTreeMap<String, String>, bool)> {
    let (name, severities) = match &notice.subject {
        Some(Subject::Outage { .. }) => ("HostDown", vec![Level::Critical]),
        Some(Subject::Family { .. }) => ("HostDegraded", vec![Level::Warning]),
        Some(Subject::Flapping { .. }) => ("HostFlapping", vec![Level::Warning]),
        Some(Subject::Alert { .. }) => {
            ("HostMetric", vec![Level::Warning, Level::Unknown, Level::Critical])
        }
        Some(Subject::Isolation) => ("ServerIsolated", vec![Level::Critical]),
        None => ("HostEvent", vec![]),
    };
    let mut severities = severities;
    if !severities.contains(&notice.level) {
        severities.push(notice.level);
    }
    let labels = |severity: Level| {
        let mut labels = BTreeMap::from([
            ("alertname".to_owned(), name.to_owned()),
            ("severity".to_owned(), severity.as_str().to_owned()),
        ]);
        if let Some(host) = &notice.host {
            labels.insert("host".to_owned(), host.to_string());
            labels.insert("instance".to_owned(), host.to_string());
        }
        if let Some(path) = &notice.metric_path {
            labels.insert("metric".to_owned(), path.to_string());
        }
        match &notice.subject {
            Some(Subject::Family { v6, .. }) => {
                let family = if *v6 { "ipv6" } else { "ipv4" };
                labels.insert("family".to_owned(), family.to_owned());
            }
            None => {
                labels.insert("kind".to_owned(), notice.kind.to_string());
            }
            _ => {}
        }
        labels
    };
    let fires = |severity: Level| !notice.recovery && severity == notice.level;
    severities.into_iter().map(|severity| (labels(severity), fires(severity))).collect()
}

fn alert(
    work: &Work<'_>,
    notice: &Notice,
    labels: &BTreeMap<String, String>,
    fires: bool,
) -> Value {
    let span = notice.span.filter(|_| notice.recovery).unwrap_or_default();
    let (start, end) = match (fires, &notice.subject) {
        (true, Some(_)) => (notice.time, work.occasion.now + FIRING),
        (true, None) => (notice.time, work.occasion.now + EVENT),
        (false, _) => (notice.time - span, notice.time),
    };
    let mut alert = json!({
        "labels": labels,
        "annotations": { "summary": &*notice.text, "site": &*work.message.site },
        "startsAt": rfc3339(start),
        "endsAt": rfc3339(end),
    });
    if let Some(url) = &work.message.url {
        alert["generatorURL"] = url.as_str().into();
    }
    alert
}

/// A message without notices is a test of the channel.
fn test(work: &Work<'_>, own: BTreeMap<String, String>) -> Value {
    let mut labels: Map<String, Value> =
        own.into_iter().map(|(name, value)| (name, value.into())).collect();
    labels.insert("alertname".to_owned(), "HeartbeatTest".into());
    labels.insert("severity".to_owned(), "info".into());
    json!({
        "labels": labels,
        "annotations": { "summary": work.message.subject_line, "site": &*work.message.site },
        "startsAt": rfc3339(work.occasion.now),
        "endsAt": rfc3339(work.occasion.now + EVENT),
    })
}

fn rfc3339(at: Wall) -> String {
    let millis = (at.as_secs_f64() * 1000.0).round() as i64;
    Timestamp::from_millisecond(millis).map(|at| format!("{at:.3}")).unwrap_or_default()
}
