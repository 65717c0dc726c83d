//! What a silence is for: one glob a kind, and all that are given must match.

use super::fault::Fault;
use crate::{glob, limits};
use std::fmt;

/// What a notice is about, as rules see it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Target<'a> {
    /// In its identity form: lower case.
    pub host: &'a str,
    pub group: Option<&'a str>,
    pub tags: &'a [String],
    /// `None` for an outage of the host.
    pub plugin: Option<&'a str>,
    /// The metric path; `host` for an outage. `None` asks about the host as a whole, which a rule for
    /// some of its plugins or metrics does not cover.
    pub path: Option<&'a str>,
}

/// The kinds of scope, as words (`host:web*`) and members of the API's `match` name them.
pub const KINDS: [&str; 5] = ["host", "group", "tag", "plugin", "path"];
const FIELDS: [&str; 5] = ["match.host", "match.group", "match.tag", "match.plugin", "match.path"];

/// Globs by kind. Never without any: a silence for everything says so with `host:*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matcher {
    globs: [Option<Box<str>>; KINDS.len()],
}

impl Matcher {
    /// From words of a command line: `host:web*`, `path:disk_monitor.*`.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Matcher, Fault> {
        let pairs = words.into_iter().map(|word| {
            word.split_once(':').ok_or_else(|| {
                Fault::new("match", format!("{word:?} has no kind"))
                    .hint("Write host:, group:, tag:, plugin: or path: before the glob.")
            })
        });
        Matcher::from_pairs(pairs)
    }

    /// From kinds and globs, each kind at most once. Says what is wrong with the first that is.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = Result<(&'a str, &'a str), Fault>>,
    ) -> Result<Matcher, Fault> {
        let mut matcher = Matcher::default();
        for pair in pairs {
            let (kind, pattern) = pair?;
            matcher.put(kind, pattern)?;
        }
        if matcher == Matcher::default() {
            return Err(Fault::new("match", "the scope is empty")
                .hint("Give at least one of host, group, tag, plugin and path; host * is all."));
        }
        Ok(matcher)
    }

    fn put(&mut self, kind: &str, pattern: &str) -> Result<(), Fault> {
        let Some(at) = KINDS.iter().position(|known| *known == kind) else {
            return Err(Fault::new("match", format!("there is no kind of scope {kind:?}"))
                .hint("The kinds are host, group, tag, plugin and path."));
        };
        check_glob(FIELDS[at], pattern)?;
        if self.globs[at].is_some() {
            return Err(Fault::new(FIELDS[at], format!("{kind} is given twice"))
                .hint("All parts of a scope must match; make a second one for the rest."));
        }
        // Names of hosts are lower case; the rest is compared as it is.
        let pattern =
            if kind == "host" { pattern.to_ascii_lowercase() } else { pattern.to_owned() };
        self.globs[at] = Some(pattern.into());
        Ok(())
    }

    pub fn matches(&self, target: &Target<'_>) -> bool {
        let [host, group, tag, plugin, path] = &self.globs;
        let fits = |pattern: &Option<Box<str>>, value: Option<&str>| match (pattern, value) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(pattern), Some(value)) => is_match(pattern, value),
        };
        fits(host, Some(target.host))
            && fits(group, target.group)
            && tag.as_ref().is_none_or(|tag| target.tags.iter().any(|own| is_match(tag, own)))
            && fits(plugin, target.plugin)
            && fits(path, target.path)
    }

    /// Whether it is for this host, or for something of it.
    pub fn concerns(&self, target: &Target<'_>) -> bool {
        let [host, group, tag, ..] = self.globs.clone();
        let whole = Matcher { globs: [host, group, tag, None, None] };
        whole.matches(target)
    }

    /// What is given, as kind and glob.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        KINDS
            .into_iter()
            .zip(&self.globs)
            .filter_map(|(kind, glob)| Some((kind, &**glob.as_ref()?)))
    }
}

/// The words that [`Matcher::from_words`] reads: `host:web* tag:prod`.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (kind, pattern)) in self.pairs().enumerate() {
            write!(f, "{}{kind}:{pattern}", if i == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

pub fn is_match(pattern: &str, value: &str) -> bool {
    glob::matches(pattern.as_bytes(), value.as_bytes())
}

/// A glob that people may send: not empty, of bounded length, without controls.
pub fn check_glob(field: &'static str, pattern: &str) -> Result<(), Fault> {
    if pattern.is_empty() {
        return Err(Fault::new(field, "the glob is empty").hint("Leave it away, or write *."));
    }
    if pattern.len() > limits::GLOB_MAX || pattern.chars().any(crate::text::is_hostile) {
        let what = format!("a glob is at most {} bytes of printable text", limits::GLOB_MAX);
        return Err(Fault::new(field, what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(plugin: Option<&'static str>, path: Option<&'static str>) -> Target<'static> {
        static TAGS: std::sync::LazyLock<[String; 2]> =
            std::sync::LazyLock::new(|| ["web".to_owned(), "prod".to_owned()]);
        Target { host: "web1", group: Some("basel"), tags: &*TAGS, plugin, path }
    }

    #[test]
    fn matcher_wants_all_that_is_given() {
        let metric = target(Some("disk_monitor"), Some("disk_monitor./.percent"));
        let outage = target(None, Some("host"));
        let whole = target(None, None);
        // Words; whether they match the metric, the outage, and the host as a whole.
        let table = [
            ("host:web1", true, true, true),
            ("host:WEB*", true, true, true),
            ("host:db*", false, false, false),
            ("group:bas?l", true, true, true),
            ("tag:prod", true, true, true),
            ("tag:p*", true, true, true),
            ("tag:lab", false, false, false),
            ("host:web1 tag:lab", false, false, false),
            ("host:web1 group:basel tag:web", true, true, true),
            ("plugin:disk_monitor", true, false, false),
            ("plugin:*", true, false, false),
            ("path:host", false, true, false),
            ("path:disk_monitor.*", true, false, false),
            ("host:* path:*", true, true, false),
        ];
        for (words, on_metric, on_outage, on_whole) in table {
            let matcher = Matcher::from_words(words.split(' ')).unwrap();
            assert_eq!(matcher.matches(&metric), on_metric, "{words}");
            assert_eq!(matcher.matches(&outage), on_outage, "{words}");
            assert_eq!(matcher.matches(&whole), on_whole, "{words}");
            assert_eq!(matcher.to_string(), words.to_lowercase());
        }
        let lone = Target { host: "pc", ..Target::default() };
        let of = |words: &str| Matcher::from_words([words]).unwrap().matches(&lone);
        assert!(!of("group:*") && !of("tag:*") && of("host:*"));
    }

    #[test]
    fn scope_that_cannot_be_meant_is_refused_with_its_field() {
        let long = format!("host:{}", "a".repeat(257));
        let table: [(&[&str], &str, &str); 8] = [
            (&[], "match", "the scope is empty"),
            (&["web1"], "match", "\"web1\" has no kind"),
            (&["hosts:web1"], "match", "there is no kind of scope \"hosts\""),
            (&[":web1"], "match", "there is no kind of scope \"\""),
            (&["host:"], "match.host", "the glob is empty"),
            (&["tag:a", "tag:b"], "match.tag", "tag is given twice"),
            (&["path:a\nb"], "match.path", "a glob is at most 256 bytes of printable text"),
            (&[&long], "match.host", "a glob is at most 256 bytes of printable text"),
        ];
        for (words, field, what) in table {
            let fault = Matcher::from_words(words.iter().copied()).unwrap_err();
            assert_eq!((fault.field, &*fault.what), (Some(field), what), "{words:?}");
        }
        // A path may have colons of its own.
        assert!(Matcher::from_words(["path:nagios_runner.a:b"]).is_ok());
    }
}
