//! A file over plain HTTP, for an agent's update: one request, no redirect, bounded in time and
//! length. What is fetched proves itself by its signature.

use crate::time::Duration;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};

/// Longest head of an answer.
const HEAD_MAX: usize = 16 << 10;
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Between two pieces.
const SILENCE_MAX: Duration = Duration::from_secs(30);
const ADDRESSES_MAX: usize = 8;
/// Tries at a server that is busy, and the wait between them.
const TRIES: u32 = 5;
const TRY_AGAIN: Duration = Duration::from_secs(3);

/// Where an answer's body goes, piece by piece.
pub type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), String>;
/// Fetches a URL of at most so many bytes; how many there were.
pub type Fetch = fn(&str, u64, Sink<'_>) -> Result<u64, String>;

/// # Errors
/// What went wrong, with the URL.
pub fn fetch(url: &str, bytes_max: u64, sink: Sink<'_>) -> Result<u64, String> {
    let (authority, path) = parse(url).map_err(|what| format!("{url}: {what}"))?;
    let mut tries = 1;
    loop {
        let result = get(authority, path, bytes_max, sink);
        match result {
            Err(Failure::Busy) if tries < TRIES => {
                tries += 1;
                pause();
            }
            Err(Failure::Busy) => return Err(format!("{url}: the server is busy")),
            Err(Failure::Other(what)) => return Err(format!("{url}: {what}")),
            Ok(length) => return Ok(length),
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a process of its own that does nothing else")]
fn pause() {
    std::thread::sleep(TRY_AGAIN);
}

enum Failure {
    /// The server says: later. Nothing was handed out.
    Busy,
    Other(String),
}

impl From<String> for Failure {
    fn from(what: String) -> Failure {
        Failure::Other(what)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Other(match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "no answer in time".to_owned(),
            _ => error.to_string(),
        })
    }
}

/// `host[:port]` and the path with what follows it.
fn parse(url: &str) -> Result<(&str, &str), &'static str> {
    let rest = url.strip_prefix("http://").ok_or("only http:// can be fetched by this program")?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let clean = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
    if authority.is_empty() || authority.contains('@') || !clean(authority) || !clean(path) {
        return Err("this is not a URL");
    }
    Ok((authority, path))
}

fn connect(authority: &str) -> Result<TcpStream, String> {
    let bare = authority.rsplit(']').next().unwrap_or(authority);
    let whole = if bare.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let addresses = whole.to_socket_addrs().map_err(|error| error.to_string())?;
    let addresses: Vec<SocketAddr> = addresses.take(ADDRESSES_MAX).collect();
    let mut last = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_WITHIN) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Err(last)
}

fn get(authority: &str, path: &str, bytes_max: u64, sink: Sink<'_>) -> Result<u64, Failure> {
    let mut stream = connect(authority)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    let version = env!("CARGO_PKG_VERSION");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: heartbeat/{version}\r\n\
         Accept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut buffer = vec![0; HEAD_MAX];
    let mut filled = 0;
    let head = loop {
        if let Some(head) = head_end(&buffer[..filled]) {
            break head;
        }
        match stream.read(&mut buffer[filled..])? {
            0 => return Err("the answer has no end of its head".to_owned().into()),
            count => filled += count,
        }
    };
    let length = read_head(&buffer[..head])?;
    if length > bytes_max {
        return Err(format!("{length} bytes are more than {bytes_max}").into());
    }
    let mut got = (filled - head) as u64;
    let first = got.min(length) as usize;
    sink(&buffer[head..head + first])?;
    while got < length {
        let want = buffer.len().min((length - got) as usize);
        match stream.read(&mut buffer[..want])? {
            0 => return Err(format!("it ends after {got} of {length} bytes").into()),
            count => {
                sink(&buffer[..count])?;
                got += count as u64;
            }
        }
    }
    Ok(length)
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// The length that a head announces.
fn read_head(head: &[u8]) -> Result<u64, Failure> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    match status.split(' ').nth(1).unwrap_or_default() {
        "200" => {}
        "503" | "429" => return Err(Failure::Busy),
        _ if status.starts_with("HTTP/") => return Err(format!("answered {status:?}").into()),
        _ => return Err("this is not an HTTP server".to_owned().into()),
    }
    let mut length = None;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err("an answer in chunks is not understood".to_owned().into());
        }
        if name.eq_ignore_ascii_case("content-length") {
            let digits = value.trim();
            let number = digits.parse::<u64>().ok().filter(|_| !digits.starts_with('+'));
            length = Some(number.ok_or_else(|| "its length is no number".to_owned())?);
        }
    }
    Ok(length.ok_or_else(|| "the answer does not say its length".to_owned())?)
}

/// The value of the `Date` field that a server answers with, whatever else it says; for `doctor`.
///
/// # Errors
/// There is no answer, or none with a date.
pub fn date(authority: &str) -> Result<String, String> {
    let ask = || -> io::Result<Vec<u8>> {
        let mut stream = connect(authority).map_err(io::Error::other)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let request =
            format!("GET /healthz HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.take(HEAD_MAX as u64).read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|error| error.to_string())?;
    let answer = String::from_utf8_lossy(&answer);
    let fields = answer.split("\r\n").take_while(|line| !line.is_empty());
    let mut fields = fields.filter_map(|line| line.split_once(':'));
    let date = fields.find(|(name, _)| name.eq_ignore_ascii_case("date"));
    date.map(|(_, value)| value.trim().to_owned()).ok_or_else(|| "it tells no date".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server that gives one answer; its authority.
    #[allow(clippy::disallowed_methods, reason = "it ends with its one answer")]
    fn server(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("an address").to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(answer);
        });
        address
    }

    fn fetched(answer: &'static [u8]) -> Result<Vec<u8>, String> {
        let url = format!("http://{}/agent/file", server(answer));
        let mut bytes = Vec::new();
        let result = fetch(&url, 10, &mut |part| {
            bytes.extend_from_slice(part);
            Ok(())
        });
        // The port differs from run to run.
        result.map(|_| bytes).map_err(|what| what.split_once("file: ").expect("the URL").1.into())
    }

    #[test]
    fn body_is_handed_out_and_everything_else_is_told() {
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellomore".as_slice();
        assert_eq!(fetched(ok), Ok(b"hello".to_vec()));
        let table: [(&'static [u8], &str); 8] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "it ends after 3 of 5 bytes"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", "11 bytes are more than 10"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", "its length is no number"),
            (b"HTTP/1.1 200 OK\r\n\r\nhello", "the answer does not say its length"),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", "answered \"HTTP/1.1 404 Not Found\""),
            (b"HTTP/1.1 302 Found\r\nLocation: x\r\n\r\n", "answered \"HTTP/1.1 302 Found\""),
            (b"SSH-2.0\r\n\r\n", "this is not an HTTP server"),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "an answer in chunks is not understood",
            ),
        ];
        for (answer, want) in table {
            assert_eq!(fetched(answer), Err(want.to_owned()));
        }
    }

    #[test]
    fn url_is_split_or_refused() {
        assert_eq!(parse("http://a:1/b?c"), Ok(("a:1", "/b?c")));
        assert_eq!(parse("http://[::1]:1"), Ok(("[::1]:1", "/")));
        for url in ["https://a/", "ftp://a", "http://", "http://a b/", "http://u@a/", "a"] {
            assert!(parse(url).is_err(), "{url}");
        }
    }
}
