//! What must hold of finding out who asks: the secret is the one that RFC 6265's reader finds, foreign cookies neither
//! hide nor change it, a Bearer token counts before it, and only a secret that was given out opens anything.

use heartbeat::account::{Book, SessionNote};
use heartbeat::config::node::Document;
use heartbeat::config::server::{self, Server};
use heartbeat::time::Wall;
use heartbeat::web::{caller::bearer_of, secret_of};
use heartbeat::yaml;

const SECRET: &str = "3q2-7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs";
const NOW: Wall = Wall::from_secs(1_800_000_000);

pub struct Oracle {
    book: Book,
    config: Server,
}

impl Default for Oracle {
    fn default() -> Oracle {
        let text = "users: {alice: {admin: true}}";
        let (root, _) = yaml::read(text, "c").expect("it is YAML");
        let document = Document { file: "c".to_owned(), text: text.to_owned(), root };
        let config = server::check(&[document]).0;
        let mut book = Book::default();
        let account = &config.users["alice"];
        let note = SessionNote { user: "alice", account, address: None, remember: false };
        book.open(NOW, SECRET, note);
        Oracle { book, config }
    }
}

impl Oracle {
    /// The first line is an `Authorization` header (none where it is empty), the rest a `Cookie` header.
    pub fn check(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let (authorization, cookie) = text.split_once('\n').unwrap_or(("", &text));
        let authorization = Some(authorization).filter(|text| !text.is_empty());
        let found = secret_of(authorization, Some(cookie));
        match authorization.and_then(reference_bearer) {
            Some(token) => assert_eq!(found, Some(token), "{authorization:?}"),
            None => assert_eq!(found, reference_cookie(cookie), "{cookie:?}"),
        }
        assert_eq!(authorization.and_then(bearer_of), authorization.and_then(reference_bearer));
        assert_eq!(secret_of(authorization, None), authorization.and_then(bearer_of));
        self.check_neighbours(cookie);
        let opened = found.and_then(|secret| self.book.find(NOW, secret, &self.config));
        assert_eq!(opened.is_some(), found == Some(SECRET), "{found:?}");
    }

    /// Other cookies, whatever they hold, change nothing of ours.
    fn check_neighbours(&mut self, cookie: &str) {
        let own = format!("hb_session={SECRET}");
        assert_eq!(secret_of(None, Some(&format!("{own}; {cookie}"))), Some(SECRET));
        if reference_cookie(cookie).is_none() {
            assert_eq!(secret_of(None, Some(&format!("{cookie}; {own}"))), Some(SECRET));
        }
        assert_eq!(secret_of(Some(&format!("Bearer {SECRET}")), Some(cookie)), Some(SECRET));
    }
}

/// Name and value by hand, a character at a time.
fn reference_cookie(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let end = rest.char_indices().find(|(_, c)| *c == ';').map_or(rest.len(), |(at, _)| at);
        let pair = rest[..end].trim_start();
        if let Some(value) = pair.strip_prefix("hb_session=") {
            return Some(value.trim_end());
        }
        rest = rest.get(end + 1..)?;
    }
}

fn reference_bearer(header: &str) -> Option<&str> {
    let header = header.trim();
    let scheme = header.get(..6)?;
    let rest = header.get(6..)?;
    (scheme.eq_ignore_ascii_case("bearer") && rest.starts_with(' ')).then(|| rest[1..].trim())
}
