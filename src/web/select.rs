//! Which hosts a request sees and in what order: filter, sort, page. Shared by the API and the
//! pages.
//!
//! The default order (severity, then newest change, then name) reads only the dense keys of the
//! view: a page of 50 out of 100,000 hosts touches 50 hosts.

use crate::engine::view::{Gauges, Host, HostId, Severity, State, View};
use crate::time::Wall;
use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

/// What a host must fulfil; all parts must fit, empty ones fit all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Each must occur in name, tags, group, description, owner or addresses; lower case.
    pub words: Vec<String>,
    pub states: Vec<State>,
    pub severities: Vec<Severity>,
    pub tags: Vec<String>,
    pub groups: Vec<String>,
    pub owners: Vec<String>,
    /// Beginnings of the agent's version, or `<0.1.3`.
    pub agents: Vec<String>,
    /// Parts of what `os_info` says of the distribution or the system; lower case.
    pub systems: Vec<String>,
    /// Plugins or beginnings of metric paths of which an alert is raised.
    pub alerts: Vec<String>,
    /// Leaves out what is not watched.
    pub watched_only: bool,
}

/// What of a filter's text is no filter: keys that it does not know, and states that there are not.
pub fn unknown_in_filter(text: &str) -> Vec<String> {
    Filter::default().parse(text)
}

/// The keys of the filter.
pub const KEYS: [&str; 7] = ["tag", "group", "state", "owner", "agent", "os", "alert"];

/// In which order; `Severity` is worst first, `Since`, `Seen` and `Boot` newest, `Rtt` and `Slow` longest, `Load`
/// highest first. Names are in the order of the numbers in them: `db-2` before `db-10`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Severity,
    Name,
    Since,
    Seen,
    Rtt,
    /// By the slowest but one in twenty of the last hour's round trips.
    Slow,
    Alerts,
    Boot,
    /// By the fullest of processor, memory and disk.
    Load,
}

impl Sort {
    pub const NAMES: &'static str =
        "severity, name, since, last_seen, rtt, rtt_p95, alerts, boot, load";

    pub fn parse(text: &str) -> Option<Sort> {
        Some(match text {
            "severity" | "state" => Sort::Severity,
            "name" => Sort::Name,
            "since" => Sort::Since,
            "last_seen" => Sort::Seen,
            "rtt" => Sort::Rtt,
            "rtt_p95" => Sort::Slow,
            "alerts" => Sort::Alerts,
            "boot" => Sort::Boot,
            "load" => Sort::Load,
            _ => return None,
        })
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Sort::Severity => "severity",
            Sort::Name => "name",
            Sort::Since => "since",
            Sort::Seen => "last_seen",
            Sort::Rtt => "rtt",
            Sort::Slow => "rtt_p95",
            Sort::Alerts => "alerts",
            Sort::Boot => "boot",
            Sort::Load => "load",
        }
    }
}

/// The hosts of one page, and how many fulfil the filter in all.
#[derive(Debug)]
pub struct Selection<'a> {
    pub hosts: Vec<&'a Arc<Host>>,
    pub total: usize,
}

/// A severity by its name or its short form in filters.
pub fn parse_severity(text: &str) -> Option<Severity> {
    let text = match text {
        "crit" => "critical",
        "warn" => "warning",
        "unreach" => "unreachable",
        "unk" => "unknown",
        "maint" => "maintenance",
        whole => whole,
    };
    Severity::ALL.into_iter().find(|s| s.as_str() == text)
}

pub fn parse_state(text: &str) -> Option<State> {
    use State::*;
    [Up, Late, Degraded, Down, Unreachable, Unknown].into_iter().find(|s| s.as_str() == text)
}

impl Filter {
    /// Nobody has asked for anything.
    pub fn is_empty(&self) -> bool {
        *self == Filter { watched_only: self.watched_only, ..Filter::default() }
    }

    /// Reads `word tag:web group:basel state:down,crit owner:alice agent:<0.1.3 os:debian
    /// alert:disk_monitor`; gives back the keys it does not know, whose words are looked for as they stand.
    pub fn parse(&mut self, text: &str) -> Vec<String> {
        let mut unknown = Vec::new();
        for word in text.split_whitespace() {
            let Some((key, values)) = word.split_once(':').filter(|(_, v)| !v.is_empty()) else {
                self.words.push(word.to_lowercase());
                continue;
            };
            let values = values.split(',').filter(|v| !v.is_empty());
            match key {
                "tag" => self.tags.extend(values.map(str::to_owned)),
                "group" => self.groups.extend(values.map(str::to_owned)),
                "owner" => self.owners.extend(values.map(str::to_owned)),
                "agent" => self.agents.extend(values.map(str::to_owned)),
                "os" => self.systems.extend(values.map(str::to_lowercase)),
                "alert" => self.alerts.extend(values.map(str::to_owned)),
                "state" => {
                    values.for_each(|value| match (parse_severity(value), parse_state(value)) {
                        (Some(severity), _) => self.severities.push(severity),
                        (None, Some(state)) => self.states.push(state),
                        (None, None) => unknown.push(word.to_owned()),
                    })
                }
                _ => {
                    // An IPv6 address has colons too, and is no key.
                    if key.bytes().all(|b| b.is_ascii_alphabetic()) && key.len() > 1 {
                        unknown.push(word.to_owned());
                    }
                    self.words.push(word.to_lowercase());
                }
            }
        }
        unknown
    }

    fn needs_hosts(&self) -> bool {
        let (severities, watched_only) = (self.severities.clone(), self.watched_only);
        Filter { severities, watched_only, ..Filter::default() } != *self
    }

    /// What the dense keys tell.
    fn takes_key(&self, severity: Severity, watch: bool) -> bool {
        (self.severities.is_empty() || self.severities.contains(&severity))
            && (watch || !self.watched_only)
    }

    fn takes(&self, host: &Host) -> bool {
        let among = |list: &[String], own: Option<&str>| {
            list.is_empty() || own.is_some_and(|own| list.iter().any(|l| l == own))
        };
        self.takes_key(host.severity, host.watch)
            && (self.states.is_empty() || self.states.contains(&host.state))
            && (self.tags.is_empty()
                || host.tags.iter().any(|tag| self.tags.iter().any(|t| **t == **tag)))
            && among(&self.groups, host.group.as_deref())
            && among(&self.owners, host.owner.as_deref())
            && (self.agents.is_empty()
                || self
                    .agents
                    .iter()
                    .any(|a| host.version.as_ref().is_some_and(|v| is_version(v, a))))
            && (self.alerts.is_empty() || self.alerts.iter().any(|a| has_alert(host, a)))
            && (self.systems.is_empty() || has_system(host, &self.systems))
            && self.words.iter().all(|word| has_word(host, word))
    }
}

/// `0.1` takes all that begin so, `<0.1.3` what is older.
fn is_version(own: &str, wish: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0)).collect()
    };
    match wish.strip_prefix('<') {
        Some(limit) => numbers(own) < numbers(limit),
        None => own.starts_with(wish),
    }
}

fn has_alert(host: &Host, wish: &str) -> bool {
    let mut raised = host.alert_list.iter().filter(|alert| alert.level != crate::alert::Level::Ok);
    raised.any(|alert| &*alert.plugin == wish || alert.path.starts_with(wish))
}

fn has_system(host: &Host, wishes: &[String]) -> bool {
    let Some(latest) = host.plugin("os_info").and_then(|plugin| plugin.latest()) else {
        return false;
    };
    let data: serde_json::Value = serde_json::from_str(&latest.data).unwrap_or_default();
    let own = ["distribution", "distribution_version", "system"]
        .map(|key| data[key].as_str().unwrap_or("").to_lowercase());
    let own = own.join(" ");
    wishes.iter().any(|wish| own.contains(wish))
}

fn has_word(host: &Host, word: &str) -> bool {
    let in_text = |text: &str| text.contains(word) || text.to_lowercase().contains(word);
    host.name.contains(word)
        || host.tags.iter().any(|t| in_text(t))
        || [&host.group, &host.description, &host.owner].into_iter().flatten().any(|t| in_text(t))
        || host.connections().any(|c| c.address.to_string().contains(word))
}

/// The hosts that fulfil `filter`, `limit` of them from `offset` on.
pub fn select<'a>(
    view: &'a View,
    filter: &Filter,
    sort: Sort,
    offset: usize,
    limit: usize,
) -> Selection<'a> {
    if sort == Sort::Name {
        return by_name(view, filter, offset, limit);
    }
    let ranks = name_ranks(view);
    let mut entries: Vec<Entry> = if filter.needs_hosts() || !sort.is_in_keys() {
        let hosts = view.hosts.iter().filter(|host| filter.takes(host));
        hosts.map(|host| (sort.host_key(host), ranks[host.id as usize], host.id)).collect()
    } else {
        let keys = view.hosts.keys().filter(|(_, key)| filter.takes_key(key.severity, key.watch));
        keys.map(|(id, key)| (sort.key(key.rank, key.since), ranks[id as usize], id)).collect()
    };
    let total = entries.len();
    let end = offset.saturating_add(limit).min(total);
    let start = offset.min(end);
    if end < total && end > 0 {
        entries.select_nth_unstable(end - 1);
    }
    entries.truncate(end);
    entries.sort_unstable();
    let hosts = entries[start..].iter().filter_map(|(_, _, id)| view.hosts.get(*id)).collect();
    Selection { hosts, total }
}

/// Sort key, place of the name in the order of names, id.
type Entry = ((u8, Reverse<i64>), u32, HostId);

impl Sort {
    const fn is_in_keys(self) -> bool {
        matches!(self, Sort::Severity | Sort::Since)
    }

    fn key(self, rank: u8, since: Wall) -> (u8, Reverse<i64>) {
        let rank = if self == Sort::Severity { rank } else { 0 };
        (rank, Reverse(since.as_micros()))
    }

    fn host_key(self, host: &Host) -> (u8, Reverse<i64>) {
        let descending = |value: Option<i64>| match value {
            Some(value) => (0, Reverse(value)),
            None => (1, Reverse(0)),
        };
        match self {
            Sort::Seen => descending(host.last_seen.map(Wall::as_micros)),
            Sort::Rtt => {
                let longest = host.connections().filter_map(|c| c.rtt_ms).reduce(f32::max);
                descending(longest.map(|rtt| (rtt * 1000.0) as i64))
            }
            Sort::Slow => descending(slow(host).map(|rtt| (rtt * 1000.0) as i64)),
            Sort::Boot => descending(host.boot_time.map(Wall::as_micros)),
            Sort::Load => {
                let Gauges { cpu, memory, disk } = host.gauges;
                let fullest = [cpu, memory, disk].into_iter().flatten().reduce(f32::max);
                descending(fullest.map(|percent| (percent * 1000.0) as i64))
            }
            Sort::Alerts => {
                let weight =
                    i64::from(host.alerts.critical) * 1000 + i64::from(host.alerts.warning);
                descending(Some(weight))
            }
            _ => self.key(host.rank(), host.since),
        }
    }
}

/// The place of each host's name in the order of names, by id.
fn name_ranks(view: &View) -> Vec<u32> {
    let mut ranks = vec![u32::MAX; view.hosts.chunks.len() * crate::engine::view::CHUNK];
    for (rank, (_, id)) in view.names.iter().enumerate() {
        if let Some(slot) = ranks.get_mut(*id as usize) {
            *slot = rank as u32;
        }
    }
    ranks
}

fn by_name<'a>(view: &'a View, filter: &Filter, offset: usize, limit: usize) -> Selection<'a> {
    let all = view.names.iter().filter_map(|(_, id)| view.hosts.get(*id));
    let mut hosts: Vec<_> = all.filter(|host| filter.takes(host)).collect();
    let total = hosts.len();
    let end = offset.saturating_add(limit).min(total);
    if end < total && end > 0 {
        hosts.select_nth_unstable_by(end - 1, |a, b| natural(&a.name, &b.name));
    }
    hosts.truncate(end);
    hosts.sort_unstable_by(|a, b| natural(&a.name, &b.name));
    Selection { hosts: hosts.split_off(offset.min(end)), total }
}

/// By letters, and by the numbers among them as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    while let (Some(x), Some(y)) = (left.first(), right.first()) {
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (number(&mut left), number(&mut right));
            m.len().cmp(&n.len()).then_with(|| m.cmp(n))
        } else {
            (left, right) = (&left[1..], &right[1..]);
            x.cmp(y)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// Takes the digits at the beginning; those that count, without zeros before them.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

/// The 95th percentile of the round trips of the last hour.
fn slow(host: &Host) -> Option<f32> {
    let hour = host.rtt_hour.as_ref()?;
    let mut known: Vec<f32> = hour.slots.iter().copied().filter(|rtt| rtt.is_finite()).collect();
    let at = (known.len() * 95).div_ceil(100).checked_sub(1)?;
    known.sort_unstable_by(f32::total_cmp);
    known.get(at).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_numbers() {
        let mut names = [
            "db-10",
            "db-2",
            "db-02",
            "db",
            "db-1a",
            "db-1",
            "web-9",
            "db-b",
            "10.0.0.9",
            "10.0.0.10",
        ];
        names.sort_unstable_by(|a, b| natural(a, b));
        let want = [
            "10.0.0.9",
            "10.0.0.10",
            "db",
            "db-1",
            "db-1a",
            "db-02",
            "db-2",
            "db-10",
            "db-b",
            "web-9",
        ];
        assert_eq!(names, want);
    }

    #[test]
    fn order_of_names_is_one_order() {
        let mut prng = crate::prng::Prng::new(7);
        let mut name = || {
            (0..4).map(|_| ['0', '1', '9', 'a', '-'][prng.below(5) as usize]).collect::<String>()
        };
        for _ in 0..2000 {
            let (a, b, c) = (name(), name(), name());
            assert_eq!(natural(&a, &b), natural(&b, &a).reverse());
            if natural(&a, &b).is_le() && natural(&b, &c).is_le() {
                assert!(natural(&a, &c).is_le(), "{a} {b} {c}");
            }
        }
    }
}
