//! `/agent/<file>`: the agents' binaries and their signatures, as they lie in `agent_dir`.
//!
//! Needs no sign-in: what is served is public, and the signature protects it. A file is sent piece by piece, and
//! few at a time, since each holds a thread while it lasts.

use crate::agent_dir;
use crate::gate::App;
use heartbeat::limits;
use std::fs::File;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

pub const PREFIX: &str = "/agent/";
/// Of the pool's four threads, two stay for everything else.
const AT_ONCE: usize = 2;

/// Who downloads now: each address one file at a time.
static DOWNLOADS: Mutex<Vec<IpAddr>> = Mutex::new(Vec::new());

/// A place among the downloads; given back when dropped.
struct Place(IpAddr);

impl Place {
    fn take(address: IpAddr) -> Option<Place> {
        let mut downloads = DOWNLOADS.lock().unwrap_or_else(PoisonError::into_inner);
        if downloads.len() >= AT_ONCE || downloads.contains(&address) {
            return None;
        }
        downloads.push(address);
        Some(Place(address))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut downloads = DOWNLOADS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = downloads.iter().position(|address| *address == self.0) {
            downloads.swap_remove(at);
        }
    }
}

/// Answers a request whose path begins with [`PREFIX`]; `peer` is `None` for the control socket.
pub fn answer(request: tiny_http::Request, peer: Option<IpAddr>, app: &dyn App) {
    let path = request.url().split('?').next().unwrap_or_default();
    let name = path.strip_prefix(PREFIX).unwrap_or_default().to_owned();
    let reads = matches!(request.method(), tiny_http::Method::Get | tiny_http::Method::Head);
    let config = app.config();
    let sent = match (&config.agent_dir, reads) {
        (_, false) => refuse(request, 405, "Only GET and HEAD are answered here."),
        (None, _) => refuse(request, 404, "No agent_dir is configured."),
        (Some(dir), _) => match agent_dir::open(dir, &name) {
            Ok((file, len)) => send(request, file, len, peer),
            Err(why) => {
                log::debug!("no agent file name={name:?}: {why}");
                refuse(request, 404, "There is no such file.")
            }
        },
    };
    if let Err(error) = sent {
        log::debug!("an agent file was not taken name={name:?} error={error}");
    }
}

fn send(
    request: tiny_http::Request,
    file: File,
    len: u64,
    peer: Option<IpAddr>,
) -> std::io::Result<()> {
    // A signature is sent at once; a binary takes a place for as long as its reader needs.
    let small = len <= limits::BODY_MAX as u64;
    let place = peer.filter(|_| !small).map(Place::take);
    if let Some(None) = place {
        return refuse(request, 503, "Too many downloads at once; try again.");
    }
    let headers = ["Content-Type: application/octet-stream", "Cache-Control: no-cache"];
    let mut headers: Vec<tiny_http::Header> =
        headers.iter().filter_map(|field| field.parse().ok()).collect();
    headers.extend("X-Content-Type-Options: nosniff".parse::<tiny_http::Header>());
    let len = usize::try_from(len).map_err(std::io::Error::other)?;
    // Never chunked: the gate relays by its length, and a file that shrinks meanwhile is cut off.
    let body = std::io::Read::take(file, len as u64);
    let status = tiny_http::StatusCode(200);
    let response = tiny_http::Response::new(status, headers, body, Some(len), None);
    request.respond(response.with_chunked_threshold(usize::MAX))
}

fn refuse(request: tiny_http::Request, status: u16, detail: &str) -> std::io::Result<()> {
    let title = match status {
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Service Unavailable",
    };
    let code = match status {
        404 => "not_found",
        405 => "method_not_allowed",
        _ => "busy",
    };
    let body = serde_json::json!({
        "type": "about:blank", "title": title, "status": status, "detail": detail, "code": code,
    });
    let mut response = tiny_http::Response::from_string(body.to_string()).with_status_code(status);
    for field in ["Content-Type: application/problem+json", "Retry-After: 10", "Allow: GET, HEAD"] {
        let wanted = match &field[..5] {
            "Retry" => status == 503,
            "Allow" => status == 405,
            _ => true,
        };
        if wanted && let Ok(header) = field.parse::<tiny_http::Header>() {
            response.add_header(header);
        }
    }
    request.respond(response.with_chunked_threshold(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_download_for_each_address_and_two_in_all() {
        let address = |n: u8| IpAddr::from([192, 0, 2, n]);
        let first = Place::take(address(1)).expect("room");
        assert!(Place::take(address(1)).is_none());
        let _second = Place::take(address(2)).expect("room");
        assert!(Place::take(address(3)).is_none());
        drop(first);
        assert!(Place::take(address(3)).is_some());
    }
}
