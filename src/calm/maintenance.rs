//! A maintenance window: for which hosts, when, why, and where it was planned.

use super::fault::Fault;
use super::matcher::{Target, is_match};
use super::schedule::{Impossible, Schedule};
use super::zone::Zones;
use crate::config::server::Window;
use std::sync::Arc;

/// Where a window was planned. One of the configuration is changed there, not through the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Config,
    Api,
    /// The machine itself: `hbc maintenance 30m`.
    Host,
}

impl Origin {
    pub const ALL: [Origin; 3] = [Origin::Config, Origin::Api, Origin::Host];

    pub const fn as_str(self) -> &'static str {
        match self {
            Origin::Config => "config",
            Origin::Api => "api",
            Origin::Host => "host",
        }
    }
}

/// A window. Of the lists that are not empty a host must be in each: named by one of its globs.
#[derive(Clone, Debug, PartialEq)]
pub struct Maintenance {
    pub id: Arc<str>,
    /// Globs over names, lower case.
    pub hosts: Vec<String>,
    pub tags: Vec<String>,
    pub groups: Vec<String>,
    pub schedule: Schedule,
    /// As it was written; `None` for the server's own.
    pub zone: Option<String>,
    pub reason: String,
    pub by: Option<String>,
    pub origin: Origin,
}

impl Maintenance {
    /// A window of the configuration. Fails where its zone is not known here, or where the written times make
    /// no window in that zone.
    pub fn of_window(window: &Window, zones: &Zones) -> Result<Maintenance, Fault> {
        let zone = zones.get(window.zone.as_deref()).ok_or_else(|| unknown_zone(&window.zone))?;
        let schedule =
            Schedule::written(window.repeat, &window.days, window.start, window.end, &zone)
                .map_err(fault_of)?;
        Ok(Maintenance {
            id: window.id.as_str().into(),
            hosts: window.hosts.clone(),
            tags: window.tags.clone(),
            groups: window.groups.clone(),
            schedule,
            zone: window.zone.clone(),
            reason: window.reason.clone().unwrap_or_default(),
            by: None,
            origin: Origin::Config,
        })
    }

    /// Whether both are for the same hosts.
    pub(super) fn has_scope_of(&self, other: &Maintenance) -> bool {
        (&self.hosts, &self.tags, &self.groups) == (&other.hosts, &other.tags, &other.groups)
    }

    /// Whether it is for this host; what of the host makes no difference.
    pub fn covers(&self, target: &Target<'_>) -> bool {
        is_covered(target, (&self.hosts, &self.tags, &self.groups))
    }
}

/// Whether a host is in each list of globs that is not empty.
pub fn is_covered(
    target: &Target<'_>,
    (hosts, tags, groups): (&[String], &[String], &[String]),
) -> bool {
    let named = |globs: &[String], name: &str| globs.iter().any(|glob| is_match(glob, name));
    (hosts.is_empty() || named(hosts, target.host))
        && (tags.is_empty() || target.tags.iter().any(|tag| named(tags, tag)))
        && (groups.is_empty() || target.group.is_some_and(|group| named(groups, group)))
}

pub fn unknown_zone(name: &Option<String>) -> Fault {
    let name = name.as_deref().unwrap_or_default();
    Fault::new("zone", format!("the time zone {name:?} is not known here"))
        .hint("Write a name such as Europe/Zurich, and see that the machine has tzdata.")
}

pub fn fault_of(problem: Impossible) -> Fault {
    let (field, what, hint) = match problem {
        Impossible::Form => (
            "start",
            "start and end do not fit repeat",
            "Write 2026-12-01T22:00 for once, 22:00 for daily, weekly and monthly.",
        ),
        Impossible::EndsFirst => ("end", "the window ends before it starts", "Write a later end."),
        Impossible::NoDays => ("days", "the window has no days", "Give days such as [\"sun\"]."),
        Impossible::TooFar => ("start", "there is no such time", "Write a date before 9999."),
    };
    Fault::new(field, what).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calm::zone::fixture;
    use crate::config::server::{End, Repeat, Start, TimeOfDay};
    use crate::time::Duration;

    fn window() -> Window {
        Window {
            id: "patches".to_owned(),
            hosts: Vec::new(),
            tags: Vec::new(),
            groups: Vec::new(),
            start: Start::Daily(TimeOfDay { hour: 3, minute: 0, second: 0 }),
            end: End::After(Duration::from_secs(1800)),
            repeat: Repeat::Daily,
            days: Vec::new(),
            zone: None,
            reason: None,
        }
    }

    #[test]
    fn window_covers_hosts_that_are_in_each_list_given() {
        let tags = ["web".to_owned(), "prod".to_owned()];
        let web = Target { host: "web1", group: Some("basel"), tags: &tags, ..Target::default() };
        let lone = Target { host: "web2", ..Target::default() };
        let table = [
            ("", "", "", true, true),
            ("web*", "", "", true, true),
            ("db1 web1", "", "", true, false),
            ("", "lab prod", "", true, false),
            ("web*", "lab", "", false, false),
            ("web*", "prod", "bas*", true, false),
            ("", "", "zug", false, false),
        ];
        for (hosts, tags, groups, on_web, on_lone) in table {
            let own = |list: &str| list.split_whitespace().map(str::to_owned).collect();
            let window =
                Window { hosts: own(hosts), tags: own(tags), groups: own(groups), ..window() };
            let made = Maintenance::of_window(&window, &fixture::zones()).unwrap();
            assert_eq!((made.covers(&web), made.covers(&lone)), (on_web, on_lone), "{window:?}");
        }
    }

    #[test]
    fn window_in_a_zone_unknown_here_is_refused() {
        let window = Window { zone: Some("Mars/Olympus".to_owned()), ..window() };
        let fault = Maintenance::of_window(&window, &fixture::zones()).unwrap_err();
        assert_eq!(fault.field, Some("zone"));
        assert!(fault.what.contains("Mars/Olympus"));
    }
}
