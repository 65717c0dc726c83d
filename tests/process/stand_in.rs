//! A service outside the machine, played by a thread: it keeps every request it got and answers as it is told.

use heartbeat::os::{clock, thread};
use heartbeat::time::Mono;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How it answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Manner {
    Status(u16),
    /// 429 with Retry-After, in seconds, for the first request; then 200.
    Patience(u32),
    /// 500 for the first request, then 200.
    Stumble,
    Redirect(String),
    /// Bytes that are neither HTTP nor TLS.
    Garbage,
    /// Takes the request and never answers.
    Tarpit,
    /// 200, and a body without an end.
    Endless,
    /// What a connector of Teams says when it is throttled, with status 200, for the first request; then its "1".
    Throttled,
    /// 404 that repeats the path of the request.
    Echo,
}

#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub at: Mono,
}

impl Seen {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub struct StandIn {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl StandIn {
    pub fn start(manner: Manner) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let accept = move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, manner) = (Arc::clone(&kept), manner.clone());
                let serve = move || drop(serve(stream, &manner, &seen));
                thread::spawn("stand-in", 128 << 10, serve).unwrap();
            }
        };
        thread::spawn("stand-in", 128 << 10, accept).unwrap();
        StandIn { address, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn bodies(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.body).collect()
    }
}

fn serve(mut stream: TcpStream, manner: &Manner, seen: &Mutex<Vec<Seen>>) -> std::io::Result<()> {
    if *manner == Manner::Garbage {
        return stream.write_all(b"\x16\x03\x03\xff\xffnot a handshake\r\n\r\n\0\0\0");
    }
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let path = words.next().unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            // The other side died in the middle of it: that is no request.
            return Ok(());
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let first = {
        let mut seen = seen.lock().unwrap();
        let body = String::from_utf8(body).unwrap();
        seen.push(Seen { method, path: path.clone(), headers, body, at: clock::now().mono });
        seen.len() == 1
    };
    let answer = |head: &str, body: &str| {
        format!(
            "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let text = match manner {
        Manner::Status(status) => answer(&format!("{status} As Told"), "told"),
        Manner::Patience(secs) if first => {
            answer(&format!("429 Too Many Requests\r\nRetry-After: {secs}"), "")
        }
        Manner::Stumble if first => answer("500 Internal Server Error", ""),
        Manner::Patience(_) | Manner::Stumble => answer("200 OK", "ok"),
        Manner::Throttled if first => answer(
            "200 OK",
            "failed: Microsoft Teams endpoint returned HTTP error 429 with ContextId 1",
        ),
        Manner::Throttled => answer("200 OK", "1"),
        Manner::Redirect(to) => answer(&format!("302 Found\r\nLocation: {to}"), ""),
        Manner::Echo => answer("404 Not Found", &format!("Cannot POST {path}")),
        Manner::Tarpit => {
            // Until the other side hangs up.
            return reader.read_exact(&mut [0]);
        }
        Manner::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            loop {
                stream.write_all(b"4\r\nmore\r\n")?;
            }
        }
        Manner::Garbage => String::new(),
    };
    stream.write_all(text.as_bytes())
}
