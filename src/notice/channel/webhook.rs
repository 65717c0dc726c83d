//! An address or a program of the operator's own: the notice as JSON, or through their template,
//! signed where they want it.

use super::{Fault, HttpRequest, Run, Work};
use crate::config::server::{ChannelType, Setting};
use hmac::{Hmac, KeyInit, Mac};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Output, State, Value};
use sha2::Sha256;
use std::collections::BTreeMap;

/// Steps of a template; a loop over all notices of the largest message takes a tenth of it.
const FUEL: u64 = 1_000_000;
const BODY_MAX: usize = 4 << 20;

pub fn render(work: &Work<'_>) -> Result<HttpRequest, Fault> {
    let url = work.needed("url")?;
    let method =
        ["PUT", "PATCH", "GET"].into_iter().find(|m| work.channel.text("method") == Some(m));
    let method = method.unwrap_or("POST");
    let json = work.message.to_json();
    let template = work.channel.text("body");
    let body = match template {
        _ if method == "GET" => String::new(),
        Some(template) => fill(template, &json)?,
        None => json,
    };
    let mut headers = map(work, "headers")?;
    let kind = match template {
        Some(template) if !is_json(template) => "text/plain; charset=utf-8",
        _ => "application/json",
    };
    if method != "GET" && !headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
        headers.insert("Content-Type".to_owned(), kind.to_owned());
    }
    if let Some(secret) = work.secret("hmac_secret")? {
        headers.insert("X-Heartbeat-Signature".to_owned(), sign(&secret, body.as_bytes()));
    }
    let headers = headers.into_iter().collect();
    Ok(HttpRequest { method, url, headers, body: body.into_bytes() })
}

/// The program gets the notice as JSON on its standard input.
pub fn exec(work: &Work<'_>) -> Result<Run, Fault> {
    let argv = match work.channel.settings.get("argv") {
        Some(Setting::Texts(argv)) if !argv.is_empty() => argv.clone(),
        _ => return Err(Fault::lasting("argv is empty")),
    };
    let mut stdin = work.message.to_json().into_bytes();
    stdin.push(b'\n');
    Ok(Run { argv, env: map(work, "env")?, stdin, kind: ChannelType::Exec })
}

pub(super) fn map(work: &Work<'_>, key: &str) -> Result<BTreeMap<String, String>, Fault> {
    let Some(Setting::Map(map)) = work.channel.settings.get(key) else {
        return Ok(BTreeMap::new());
    };
    let value = |(name, secret): (&String, _)| {
        Ok((name.clone(), work.purse.get(&format!("{key}.{name}"), secret)?))
    };
    map.iter().map(value).collect()
}

/// `sha256=HEX` of the body (HMAC, RFC 2104).
fn sign(secret: &str, body: &[u8]) -> String {
    // A key of any length is taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(body);
    let bytes = mac.finalize().into_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

/// A template that is JSON begins like it.
fn is_json(template: &str) -> bool {
    template.trim_start().starts_with(['{', '['])
        && !template.trim_start().starts_with("{{")
        && !template.trim_start().starts_with("{%")
}

/// Fills in a template with the fields of the notice as JSON. Where the template is JSON, a text is
/// written as it must stand between quotes, so no name can end the string that it stands in.
fn fill(template: &str, json: &str) -> Result<String, Fault> {
    let fields: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    if is_json(template) {
        environment.set_formatter(write_json);
    }
    let filled = environment.render_str(template, Value::from(Serde(fields)));
    let filled = filled.map_err(|error| Fault::lasting(format!("body: {error}")))?;
    if filled.len() > BODY_MAX {
        return Err(Fault::lasting(format!("body: longer than {BODY_MAX} bytes")));
    }
    Ok(filled)
}

/// What is wrong with a template of a body, in words: it cannot be read, names what no notice has, or never ends.
pub fn template_fault(template: &str) -> Option<String> {
    let words = |error: &minijinja::Error| {
        let line = error.line().map(|line| format!("line {line} of it: ")).unwrap_or_default();
        let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
        format!("{line}{}{detail}", error.kind())
    };
    let environment = Environment::new();
    let read = match environment.template_from_str(template) {
        Ok(read) => read,
        Err(error) => return Some(words(&error)),
    };
    let fields: serde_json::Value = serde_json::from_str(SAMPLE).unwrap_or_default();
    let built_in: Vec<&str> = environment.globals().map(|(name, _)| name).collect();
    let mut unknown: Vec<String> = read.undeclared_variables(false).into_iter().collect();
    unknown.retain(|name| fields.get(name).is_none() && !built_in.contains(&name.as_str()));
    unknown.sort();
    if let Some(name) = unknown.first() {
        return Some(format!("a notice has no \"{name}\""));
    }
    fill(template, SAMPLE).err().map(|fault| fault.text.trim_start_matches("body: ").to_owned())
}

/// A grouped notice, which has every field.
const SAMPLE: &str = r#"{"version":1,"id":7,"timestamp":1800000000.0,"kind":"state","level":"critical",
"text":"DOWN: web1 - never reported","lines":["DOWN: web1 - never reported"],"host":"web1","metric_path":null,
"from":"up","to":"down","value":null,"threshold_value":null,"url":null,"site":"Heartbeat","hosts_up":46,
"hosts_total":50,"recovery":false,"notices":[{"id":7,"timestamp":1800000000.0,"kind":"state","level":"critical",
"text":"DOWN: web1 - never reported","host":"web1","metric_path":null,"from":"up","to":"down","value":null,
"threshold_value":null,"recovery":false}]}"#;

fn write_json(
    out: &mut Output<'_>,
    _: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), minijinja::Error> {
    if value.is_undefined() || value.is_safe() {
        return out.write_str(value.as_str().unwrap_or_default()).map_err(Into::into);
    }
    let json = serde_json::to_string(value).unwrap_or_default();
    let inner = match value.as_str() {
        Some(_) => json.trim_start_matches('"').strip_suffix('"').unwrap_or_default(),
        None => &json,
    };
    out.write_str(inner).map_err(Into::into)
}
