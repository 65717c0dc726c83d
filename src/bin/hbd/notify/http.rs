//! One request over HTTP or HTTPS. Bounded in time (ureq has no time limits of its own), in what is read of the
//! answer, and to the address that was configured: no redirect is followed.

use super::roots::Roots;
use heartbeat::notice::channel::HttpRequest;
use std::io::Read;
use std::time::Duration;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Error, Proxy, http};

/// Read of a body (THREATS S14): of a refusal's, and of a success' where it says more than its status.
const BODY_MAX: u64 = 64 << 10;
const HEAD_MAX: usize = 32 << 10;
const USER_AGENT: &str = concat!("Heartbeat/", env!("CARGO_PKG_VERSION"));

pub struct Limits<'a> {
    /// For all of it: name, connection, handshake, request and answer.
    pub timeout: Duration,
    pub proxy: Option<&'a str>,
    /// Whether the body of a success is read.
    pub read_success: bool,
}

pub struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub body: Vec<u8>,
}

/// Sends a request. The error never holds the address.
pub fn send(request: &HttpRequest, limits: &Limits<'_>, roots: &Roots) -> Result<Answer, String> {
    let agent = agent(limits, roots)?;
    let mut builder = http::Request::builder().method(request.method).uri(&request.url);
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let unusable = |_| "the address or a header cannot be used in a request".to_owned();
    let response = if request.method == "GET" {
        agent.run(builder.body(()).map_err(unusable)?)
    } else {
        agent.run(builder.body(request.body.as_slice()).map_err(unusable)?)
    };
    let response = response.map_err(|error| words(&error, limits.timeout))?;
    Ok(read(response, limits.read_success))
}

fn agent(limits: &Limits<'_>, roots: &Roots) -> Result<Agent, String> {
    let proxy = limits.proxy.map(Proxy::new).transpose();
    let proxy = proxy.map_err(|_| "proxy: the address cannot be used".to_owned())?;
    let certificates = match roots.certificates() {
        Some(certificates) => RootCerts::Specific(certificates),
        None => RootCerts::WebPki,
    };
    let timeout = Some(limits.timeout);
    let config = Agent::config_builder()
        .timeout_global(timeout)
        .timeout_per_call(timeout)
        .timeout_resolve(timeout)
        .timeout_connect(timeout)
        .timeout_send_request(timeout)
        .timeout_send_body(timeout)
        .timeout_recv_response(timeout)
        .timeout_recv_body(timeout)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_response_header_size(HEAD_MAX)
        .max_idle_connections(0)
        .user_agent(USER_AGENT)
        .proxy(proxy)
        .tls_config(TlsConfig::builder().root_certs(certificates).build())
        .build();
    Ok(config.new_agent())
}

fn read(mut response: http::Response<Body>, read_success: bool) -> Answer {
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    if read_success || !(200..300).contains(&status) {
        // What could be read of it is enough.
        let _ = response.body_mut().as_reader().take(BODY_MAX).read_to_end(&mut body);
    }
    Answer { status, retry_after, body }
}

/// What went wrong, in words of our own where the library would name the address.
fn words(error: &Error, timeout: Duration) -> String {
    match error {
        Error::Timeout(_) => format!("no answer within {} s", timeout.as_secs()),
        Error::HostNotFound => "the name of the server has no address".to_owned(),
        Error::ConnectionFailed => "cannot connect".to_owned(),
        Error::BadUri(_) | Error::Http(_) => "the address cannot be used".to_owned(),
        Error::ConnectProxyFailed(_) => "the proxy refused the connection".to_owned(),
        Error::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
            format!("TLS: {error}")
        }
        Error::Io(error) => error.to_string(),
        Error::Rustls(error) => format!("TLS: {error}"),
        Error::Tls(what) => format!("TLS: {what}"),
        Error::LargeResponseHeader(..) => "the head of the answer is too long".to_owned(),
        Error::Protocol(_) => "the answer is not HTTP".to_owned(),
        other => other.to_string(),
    }
}
