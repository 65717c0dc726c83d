//! One mail over SMTP (RFC 5321): EHLO, STARTTLS or TLS from the start, AUTH PLAIN or LOGIN, one recipient.
//!
//! TLS that is configured is used or the mail is not sent: it never falls back to an open connection. All of a try
//! has one deadline, whatever the other side does.

use super::roots::Roots;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use heartbeat::notice::channel::mail::stuff;
use heartbeat::notice::channel::{Mail, MailTls, Verdict, of_smtp};
use heartbeat::os::clock;
use heartbeat::time::Mono;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Of one reply, all its lines together.
const REPLY_MAX: usize = 16 << 10;
const RETRY: Verdict = Verdict::Retry { after: Duration::ZERO };

pub struct Limits<'a> {
    pub timeout: Duration,
    pub proxy: Option<&'a str>,
}

type Tried<T> = Result<T, (Verdict, String)>;

/// A network error: to be tried again.
fn network(what: &'static str) -> impl Fn(io::Error) -> (Verdict, String) {
    move |error| {
        let late = matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock);
        let words = if late { "no answer in time".to_owned() } else { error.to_string() };
        (RETRY, format!("{what}: {words}"))
    }
}

pub fn send(mail: &Mail, limits: &Limits<'_>, roots: &Roots) -> Tried<()> {
    let deadline = clock::now().mono + limits.timeout;
    let helo = mail.helo.as_deref().filter(|name| is_word(name)).unwrap_or("localhost");
    let tcp = connect(mail, limits.proxy, deadline)?;
    let mut dialogue = Dialogue::new(Stream::Open(tcp));
    if mail.tls == MailTls::Implicit {
        dialogue = dialogue.encrypt(mail, roots)?;
    }
    dialogue.expect("greeting", 220)?;
    let mut offers = dialogue.hello(helo)?;
    if mail.tls == MailTls::Starttls {
        if !offers.iter().any(|offer| offer == "STARTTLS") {
            return Err((RETRY, "the server offers no STARTTLS; nothing was sent".to_owned()));
        }
        dialogue.command("STARTTLS", "STARTTLS", 220)?;
        dialogue = dialogue.encrypt(mail, roots)?;
        offers = dialogue.hello(helo)?;
    }
    if let Some((user, password)) = &mail.login {
        dialogue.sign_in(&offers, user, password)?;
    }
    dialogue.command("MAIL FROM", &format!("MAIL FROM:<{}>", mail.from), 250)?;
    dialogue.command("RCPT TO", &format!("RCPT TO:<{}>", mail.to), 250)?;
    dialogue.command("DATA", "DATA", 354)?;
    dialogue.write(&stuff(&mail.bytes)).map_err(network("mail"))?;
    dialogue.expect("mail", 250)?;
    // It is the server's now; what it says to a goodbye changes nothing.
    let _ = dialogue.write(b"QUIT\r\n");
    Ok(())
}

/// What may stand in a command as it is.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'<' && b != b'>')
}

fn connect(mail: &Mail, proxy: Option<&str>, deadline: Mono) -> Tried<Timed> {
    let (host, port) = match proxy {
        Some(proxy) => proxy_address(proxy)?,
        None => (mail.host.trim_matches(['[', ']']).to_owned(), mail.port),
    };
    let addresses = (host.as_str(), port).to_socket_addrs();
    let addresses = addresses.map_err(|_| (RETRY, format!("{host} has no address")))?;
    let mut last = (RETRY, format!("{host} has no address"));
    for address in addresses {
        let left = left(deadline).map_err(network("connect"))?;
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                let mut timed = Timed { stream, deadline };
                if proxy.is_some() {
                    ask_proxy(&mut timed, mail)?;
                }
                return Ok(timed);
            }
            Err(error) => last = network("connect")(error),
        }
    }
    Err(last)
}

/// `http://host[:port]`
fn proxy_address(url: &str) -> Tried<(String, u16)> {
    let unusable =
        || (Verdict::Failed, "proxy: mail goes through http://HOST:PORT alone".to_owned());
    let rest = url.strip_prefix("http://").ok_or_else(unusable)?;
    let authority = rest.split('/').next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| unusable())?),
        None => (authority, 80),
    };
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

/// `CONNECT` (RFC 9110, section 9.3.6).
fn ask_proxy(stream: &mut Timed, mail: &Mail) -> Tried<()> {
    let to = format!("{}:{}", mail.host, mail.port);
    let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(network("proxy"))?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).map_err(network("proxy"))?;
        head.push(byte[0]);
        if head.len() > REPLY_MAX {
            return Err((RETRY, "proxy: the answer is too long".to_owned()));
        }
    }
    let status = head.split(|b| *b == b' ').nth(1).unwrap_or_default();
    if status.starts_with(b"2") {
        return Ok(());
    }
    Err((RETRY, "proxy: refused the connection".to_owned()))
}

fn left(deadline: Mono) -> io::Result<Duration> {
    let left = deadline.since(clock::now().mono);
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A socket of which no single call outlives the deadline.
struct Timed {
    stream: TcpStream,
    deadline: Mono,
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.deadline)?))?;
        self.stream.read(into)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.deadline)?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

enum Stream {
    Open(Timed),
    Sealed(Box<StreamOwned<ClientConnection, Timed>>),
}

struct Dialogue {
    stream: Stream,
    /// Read and not used yet.
    rest: Vec<u8>,
}

impl Dialogue {
    fn new(stream: Stream) -> Dialogue {
        Dialogue { stream, rest: Vec::new() }
    }

    fn encrypt(self, mail: &Mail, roots: &Roots) -> Tried<Dialogue> {
        let Stream::Open(stream) = self.stream else { return Ok(self) };
        // What came in the open after STARTTLS must not be taken for something said in secret.
        if !self.rest.is_empty() {
            return Err((RETRY, "the server spoke before TLS began".to_owned()));
        }
        let lasting = |text: String| (Verdict::Failed, text);
        let config = roots.client(mail.ca_file.as_deref()).map_err(|text| (RETRY, text))?;
        let host = mail.host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host)
            .map_err(|_| lasting("host is no name that TLS can check".to_owned()))?;
        let connection = ClientConnection::new(config, name)
            .map_err(|error| (RETRY, format!("TLS: {error}")))?;
        let mut sealed = StreamOwned::new(connection, stream);
        while sealed.conn.is_handshaking() {
            sealed.conn.complete_io(&mut sealed.sock).map_err(network("TLS"))?;
        }
        Ok(Dialogue::new(Stream::Sealed(Box::new(sealed))))
    }

    /// What the server offers, in capitals.
    fn hello(&mut self, name: &str) -> Tried<Vec<String>> {
        let lines = self.command("EHLO", &format!("EHLO {name}"), 250)?;
        Ok(lines.iter().skip(1).map(|line| line.to_ascii_uppercase()).collect())
    }

    fn sign_in(&mut self, offers: &[String], user: &str, password: &str) -> Tried<()> {
        let kinds = offers.iter().find_map(|offer| offer.strip_prefix("AUTH "));
        let kinds: Vec<&str> = kinds.unwrap_or_default().split(' ').collect();
        if kinds.contains(&"PLAIN") {
            let text = STANDARD.encode(format!("\0{user}\0{password}"));
            self.command("AUTH", &format!("AUTH PLAIN {text}"), 235)?;
        } else if kinds.contains(&"LOGIN") {
            self.command("AUTH", "AUTH LOGIN", 334)?;
            self.command("AUTH", &STANDARD.encode(user), 334)?;
            self.command("AUTH", &STANDARD.encode(password), 235)?;
        } else {
            let what = "the server offers no AUTH PLAIN and no AUTH LOGIN";
            return Err((Verdict::Failed, what.to_owned()));
        }
        Ok(())
    }

    /// One line, and the reply to it. `what` stands for the line in errors: it may hold a password.
    fn command(&mut self, what: &'static str, line: &str, code: u16) -> Tried<Vec<String>> {
        self.write(format!("{line}\r\n").as_bytes()).map_err(network(what))?;
        self.expect(what, code)
    }

    /// The lines of a reply, without the code, if it begins as `code` does.
    fn expect(&mut self, what: &'static str, code: u16) -> Tried<Vec<String>> {
        let (got, lines) = self.reply().map_err(network(what))?;
        // Any success will do, but not a success where more is asked for.
        if got / 100 == code / 100 {
            return Ok(lines);
        }
        let verdict = match of_smtp(got) {
            Verdict::Done => RETRY,
            verdict => verdict,
        };
        Err((verdict, format!("{what}: {got} {}", lines.join(" "))))
    }

    fn reply(&mut self) -> io::Result<(u16, Vec<String>)> {
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let (mut lines, mut size) = (Vec::new(), 0);
        loop {
            let line = self.line()?;
            size += line.len();
            if size > REPLY_MAX {
                return Err(bad("the reply is too long"));
            }
            let text = String::from_utf8_lossy(&line).into_owned();
            let code = text.get(..3).and_then(|code| code.parse::<u16>().ok());
            let code = code.filter(|code| (200..600).contains(code));
            let code = code.ok_or_else(|| bad("the answer is not SMTP"))?;
            lines.push(text.get(4..).unwrap_or_default().trim_end().to_owned());
            if text.as_bytes().get(3) != Some(&b'-') {
                return Ok((code, lines));
            }
        }
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
                let mut line: Vec<u8> = self.rest.drain(..=end).collect();
                line.pop();
                return Ok(line);
            }
            if self.rest.len() > REPLY_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the reply is too long"));
            }
            let mut buffer = [0; 1024];
            let n = match &mut self.stream {
                Stream::Open(stream) => stream.read(&mut buffer)?,
                Stream::Sealed(stream) => stream.read(&mut buffer)?,
            };
            if n == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up"));
            }
            self.rest.extend_from_slice(&buffer[..n]);
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Open(stream) => stream.write_all(bytes),
            Stream::Sealed(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }
}
