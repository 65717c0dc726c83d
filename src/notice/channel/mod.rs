//! What a message becomes for each type of channel: an HTTP request, a mail, a program to run. Data
//! alone; who sends it, and when again, is the shell's and the outbox's.
//!
//! **Invariants.** What hosts report never reaches a header, an address or a command line but as
//! escaped text. A value of a secret is in what is sent and in nothing else: [`Purse::hide`] takes
//! it out of every error.

mod alertmanager;
mod chat;
pub mod mail;
mod purse;
mod push;
mod shape;
mod verdict;
mod webhook;

#[cfg(test)]
mod tests;

pub use purse::Purse;
pub use verdict::{HttpAnswer, Verdict, of_http, of_program, of_smtp, reads_success};
pub use webhook::template_fault;

use super::message::Message;
use crate::config::server::{Channel, ChannelType};
use crate::time::Wall;
use std::collections::BTreeMap;

/// Something that cannot be sent as it stands. Never holds the value of a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    pub text: String,
    /// Another try would end the same.
    pub lasting: bool,
}

impl Fault {
    fn lasting(text: impl Into<String>) -> Fault {
        Fault { text: text.into(), lasting: true }
    }
}

/// One try, ready to be made.
pub enum Delivery {
    Http(HttpRequest),
    Mail(Box<Mail>),
    Program(Run),
}

/// The URL and the headers may hold secrets: no `Debug`.
pub struct HttpRequest {
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What an SMTP dialogue needs.
pub struct Mail {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    pub login: Option<(String, String)>,
    /// The name to say in EHLO; `None`: the machine's own.
    pub helo: Option<String>,
    pub ca_file: Option<String>,
    /// Addresses alone, without names.
    pub from: String,
    pub to: String,
    /// Head and body, lines ended by CR LF, dots not doubled yet.
    pub bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MailTls {
    Starttls,
    Implicit,
    None,
}

/// A program with its arguments; no shell has any part in it.
pub struct Run {
    pub argv: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub stdin: Vec<u8>,
    pub kind: ChannelType,
}

/// Where and when a message is rendered.
pub struct Occasion<'a> {
    pub now: Wall,
    /// This machine's name, for what mails are called by.
    pub machine: &'a str,
}

/// Everything a renderer reads.
struct Work<'a> {
    channel: &'a Channel,
    message: &'a Message,
    purse: &'a Purse<'a>,
    occasion: &'a Occasion<'a>,
}

/// Renders a message for the receiver it names.
///
/// # Errors
/// A secret cannot be read, or the configuration cannot be made into a request.
pub fn prepare(
    channel: &Channel,
    message: &Message,
    purse: &Purse<'_>,
    occasion: &Occasion<'_>,
) -> Result<Delivery, Fault> {
    let work = Work { channel, message, purse, occasion };
    match channel.kind {
        ChannelType::Email => mail::render(&work).map(|mail| Delivery::Mail(Box::new(mail))),
        ChannelType::Pushover => push::pushover(&work).map(Delivery::Http),
        ChannelType::Mattermost => chat::mattermost(&work).map(Delivery::Http),
        ChannelType::Signal if channel.text("url").is_some() => {
            push::signal_rest(&work).map(Delivery::Http)
        }
        ChannelType::Signal => push::signal_cli(&work).map(Delivery::Program),
        ChannelType::Ntfy => push::ntfy(&work).map(Delivery::Http),
        ChannelType::Gotify => push::gotify(&work).map(Delivery::Http),
        ChannelType::Telegram => chat::telegram(&work).map(Delivery::Http),
        ChannelType::Matrix => chat::matrix(&work).map(Delivery::Http),
        ChannelType::Slack => chat::slack(&work).map(Delivery::Http),
        ChannelType::Discord => chat::discord(&work).map(Delivery::Http),
        ChannelType::Teams => chat::teams(&work).map(Delivery::Http),
        ChannelType::Webhook => webhook::render(&work).map(Delivery::Http),
        ChannelType::Exec => webhook::exec(&work).map(Delivery::Program),
        ChannelType::Alertmanager => alertmanager::render(&work).map(Delivery::Http),
    }
}

impl Work<'_> {
    /// The value of a key that is a secret.
    fn secret(&self, key: &str) -> Result<Option<String>, Fault> {
        self.channel.secret(key).map(|secret| self.purse.get(key, secret)).transpose()
    }

    fn needed(&self, key: &str) -> Result<String, Fault> {
        let value = self.secret(key)?.filter(|value| !value.is_empty());
        value.ok_or_else(|| Fault::lasting(format!("{key} is empty")))
    }

    /// An address written as text or as a secret, without the slashes at its end.
    fn base(&self) -> Result<String, Fault> {
        let url = match self.channel.text("url") {
            Some(url) => url.to_owned(),
            None => self.needed("url")?,
        };
        Ok(url.trim_end_matches('/').to_owned())
    }

    /// Where this message goes, for channels that have destinations.
    fn to(&self) -> Result<Option<String>, Fault> {
        let to = self.message.receiver.to.as_ref();
        let value = to.map(|to| self.purse.get("to", &to.secret())).transpose()?;
        Ok(value.filter(|value| !value.is_empty()))
    }

    fn destination(&self) -> Result<String, Fault> {
        self.to()?.ok_or_else(|| Fault::lasting("no destination: to is empty"))
    }

    /// A POST of JSON.
    fn post(&self, url: String, body: &serde_json::Value) -> HttpRequest {
        HttpRequest {
            method: "POST",
            url,
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            body: body.to_string().into_bytes(),
        }
    }
}

/// `Basic` credentials (RFC 7617).
fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let pair = format!("{user}:{password}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// Sixteen bytes in hexadecimal that the same notices to the same receiver always have: a try that
/// is repeated, even by another process, is known by it.
fn fingerprint(message: &Message) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(message.receiver.render());
    for notice in &message.notices {
        hash.update(notice.id.to_be_bytes());
        hash.update(notice.text.as_bytes());
    }
    if message.notices.is_empty() {
        hash.update(message.id.to_be_bytes());
        hash.update(message.subject_line.as_bytes());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
