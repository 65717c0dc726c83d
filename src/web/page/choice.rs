//! How a reader wants `/live`: which columns, how dense, the map by what. From the address where it says so, else
//! from the cookie in which the last choice was kept.

use crate::engine::view::{Gauges, Host};
use crate::web::Call;
use crate::web::query::Query;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The cookie: pairs as in an address.
pub const COOKIE: &str = "hb_live";

/// Key, heading, whether it is shown unless somebody chose. State and host are always there.
pub const COLUMNS: [(&str, &str, bool); 18] = [
    ("why", "Why", true),
    ("alerts", "Alerts", true),
    ("v4", "IPv4", true),
    ("v6", "IPv6", true),
    ("rtt", "RTT, 1 h", true),
    ("seen", "Last seen", true),
    ("up", "Uptime", true),
    ("res", "CPU Mem Disk", true),
    ("owner", "Owner", false),
    ("group", "Group", false),
    ("agent", "Agent", false),
    ("os", "System", false),
    ("profile", "Profile", false),
    ("interval", "Interval", false),
    ("next", "Next expected", false),
    ("loss", "Loss", false),
    ("dns", "DNS", false),
    ("notes", "Description", false),
];
/// Columns from here on are drawn by the server alone.
const LIVE_COLUMNS: usize = 8;

/// By what the map's cells stand together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapBy {
    #[default]
    Group,
    Tag,
    Owner,
    Profile,
    Agent,
    Nothing,
}

impl MapBy {
    pub const NAMES: [(&'static str, &'static str); 6] = [
        ("group", "group"),
        ("tag", "tag"),
        ("owner", "owner"),
        ("profile", "profile"),
        ("agent", "agent version"),
        ("none", "nothing"),
    ];

    fn parse(text: &str) -> MapBy {
        match text {
            "tag" => MapBy::Tag,
            "owner" => MapBy::Owner,
            "profile" => MapBy::Profile,
            "agent" => MapBy::Agent,
            "none" => MapBy::Nothing,
            _ => MapBy::Group,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            MapBy::Group => "group",
            MapBy::Tag => "tag",
            MapBy::Owner => "owner",
            MapBy::Profile => "profile",
            MapBy::Agent => "agent",
            MapBy::Nothing => "none",
        }
    }

    /// What stands for a host that has none.
    pub const fn missing(self) -> &'static str {
        match self {
            MapBy::Group => "No group",
            MapBy::Tag => "No tag",
            MapBy::Owner => "No owner",
            MapBy::Profile => "Default profile",
            MapBy::Agent => "No version",
            MapBy::Nothing => "All hosts",
        }
    }

    pub fn of<'a>(self, call: &'a Call<'_>, host: &'a Host) -> Cow<'a, str> {
        let text = match self {
            MapBy::Group => host.group.as_deref(),
            MapBy::Tag => host.tags.first().map(|tag| &**tag),
            MapBy::Owner => host.owner.as_deref(),
            MapBy::Profile => return Cow::Owned(profiles(call, host)),
            MapBy::Agent => host.version.as_deref(),
            MapBy::Nothing => None,
        };
        Cow::Borrowed(text.unwrap_or(""))
    }
}

/// The profiles that a host chooses in the configuration.
pub fn profiles(call: &Call<'_>, host: &Host) -> String {
    let declared = call.context.config.hosts.get(&*host.name);
    declared.map_or(String::new(), |declared| declared.threshold_config.join(" + "))
}

/// By what the map's cells are coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    #[default]
    State,
    Rtt,
    Cpu,
    Memory,
    Disk,
    Age,
}

impl Colour {
    pub const NAMES: [(&'static str, &'static str); 6] = [
        ("state", "state"),
        ("rtt", "round trip"),
        ("cpu", "CPU"),
        ("memory", "memory"),
        ("disk", "fullest disk"),
        ("age", "agent age"),
    ];

    fn parse(text: &str) -> Colour {
        match text {
            "rtt" => Colour::Rtt,
            "cpu" => Colour::Cpu,
            "memory" => Colour::Memory,
            "disk" => Colour::Disk,
            "age" => Colour::Age,
            _ => Colour::State,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Colour::State => "state",
            Colour::Rtt => "rtt",
            Colour::Cpu => "cpu",
            Colour::Memory => "memory",
            Colour::Disk => "disk",
            Colour::Age => "age",
        }
    }

    /// What the five bands mean, least first.
    pub const fn legend(self) -> [&'static str; 5] {
        match self {
            Colour::State => [""; 5],
            Colour::Rtt => ["< 1 ms", "< 5 ms", "< 20 ms", "< 100 ms", "≥ 100 ms"],
            Colour::Cpu | Colour::Memory | Colour::Disk => {
                ["< 25 %", "< 50 %", "< 75 %", "< 90 %", "≥ 90 %"]
            }
            Colour::Age => ["newest", "1 behind", "2 behind", "3 behind", "4 or more"],
        }
    }

    /// The band of a host, 0 to 4; `None` where nothing is known of it. `ages` says how far each version is behind.
    pub fn band(self, host: &Host, ages: &BTreeMap<&str, usize>) -> Option<usize> {
        let place = |value: f32, edges: [f32; 4]| {
            value.is_finite().then(|| edges.iter().filter(|edge| value >= **edge).count())
        };
        const SHARE: [f32; 4] = [25.0, 50.0, 75.0, 90.0];
        let Gauges { cpu, memory, disk } = host.gauges;
        match self {
            Colour::State => None,
            Colour::Rtt => {
                let longest = host.connections().filter_map(|c| c.rtt_ms).reduce(f32::max)?;
                place(longest, [1.0, 5.0, 20.0, 100.0])
            }
            Colour::Cpu => place(cpu?, SHARE),
            Colour::Memory => place(memory?, SHARE),
            Colour::Disk => place(disk?, SHARE),
            Colour::Age => ages.get(host.version.as_deref()?).map(|behind| (*behind).min(4)),
        }
    }
}

/// How many newer versions there are in the fleet than each.
pub fn ages<'a>(hosts: impl Iterator<Item = &'a std::sync::Arc<Host>>) -> BTreeMap<&'a str, usize> {
    let number = |text: &str| -> Vec<u64> {
        text.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0)).collect()
    };
    let mut versions: Vec<&str> = hosts.filter_map(|host| host.version.as_deref()).collect();
    versions.sort_by_key(|version| std::cmp::Reverse(number(version)));
    versions.dedup();
    versions.into_iter().enumerate().map(|(behind, version)| (version, behind)).collect()
}

#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// In the order of [`COLUMNS`].
    columns: [bool; COLUMNS.len()],
    pub compact: bool,
    pub map: MapBy,
    pub colour: Colour,
    pub map_open: bool,
}

impl Default for Choice {
    fn default() -> Choice {
        Choice {
            columns: COLUMNS.map(|(_, _, shown)| shown),
            compact: false,
            map: MapBy::default(),
            colour: Colour::default(),
            map_open: true,
        }
    }
}

impl Choice {
    pub fn of(call: &Call<'_>) -> Choice {
        let mut choice = Choice::default();
        if let Some(kept) = call.request.cookie(COOKIE) {
            choice.take(&Query::parse(kept));
        }
        choice.take(&call.query);
        choice
    }

    /// What the pairs say; the rest stays.
    pub fn take(&mut self, said: &Query<'_>) {
        if said.has("cols") {
            let list: Vec<&str> = said.all("cols").flat_map(|text| text.split('.')).collect();
            self.columns = COLUMNS.map(|(key, ..)| list.contains(&key));
        }
        if let Some(density) = said.get("density") {
            self.compact = density == "compact";
        }
        if let Some(by) = said.get("map") {
            self.map = MapBy::parse(by);
        }
        if let Some(colour) = said.get("colour") {
            self.colour = Colour::parse(colour);
        }
        if let Some(open) = said.get("open") {
            self.map_open = open != "no";
        }
    }

    /// The value of the cookie.
    pub fn written(&self) -> String {
        let shown: Vec<&str> = COLUMNS
            .iter()
            .zip(self.columns)
            .filter(|(_, on)| *on)
            .map(|((key, ..), _)| *key)
            .collect();
        let mut text = format!("cols={}", shown.join("."));
        let density = if self.compact { "compact" } else { "normal" };
        let open = if self.map_open { "yes" } else { "no" };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "&density={density}&map={}&colour={}&open={open}",
            self.map.as_str(),
            self.colour.as_str()
        );
        text
    }

    pub fn shows(&self, key: &str) -> bool {
        COLUMNS.iter().position(|(own, ..)| *own == key).is_some_and(|at| self.columns[at])
    }

    /// Key and heading of the columns that the server alone draws.
    pub fn extra(&self) -> Vec<(&'static str, &'static str)> {
        let chosen = COLUMNS.iter().zip(self.columns).skip(LIVE_COLUMNS).filter(|(_, on)| *on);
        chosen.map(|((key, head, _), _)| (*key, *head)).collect()
    }

    pub fn shown(&self) -> Shown {
        Shown {
            why: self.shows("why"),
            alerts: self.shows("alerts"),
            v4: self.shows("v4"),
            v6: self.shows("v6"),
            rtt: self.shows("rtt"),
            seen: self.shows("seen"),
            up: self.shows("up"),
            res: self.shows("res"),
        }
    }
}

/// The columns that the live module keeps fresh, for the template.
#[derive(Serialize)]
pub struct Shown {
    why: bool,
    alerts: bool,
    v4: bool,
    v6: bool,
    rtt: bool,
    seen: bool,
    up: bool,
    res: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choice_survives_its_cookie_and_bad_words_change_nothing() {
        let mut choice = Choice::default();
        choice.take(&Query::parse(
            "cols=seen&cols=owner&density=compact&map=agent&colour=cpu&open=no",
        ));
        assert!(choice.shows("owner") && choice.shows("seen") && !choice.shows("why"));
        let mut again = Choice::default();
        again.take(&Query::parse(&choice.written()));
        assert_eq!(again, choice);
        assert!(!choice.written().contains([' ', ';', ',', '"', '\\']));
        let mut odd = Choice::default();
        odd.take(&Query::parse("map=<b>&colour=7&density="));
        assert_eq!(odd, Choice::default());
        odd.take(&Query::parse("cols="));
        assert!(odd.extra().is_empty() && !odd.shows("why"));
    }
}
