//! Bodies of the API's requests (SPEC section 13), checked as far as that needs neither clock nor zone.
//!
//! A member that is not known is refused: a window for `host` instead of `hosts` would be one for all.

use super::body::{Members, Moment, Until, both};
use super::fault::Fault;
use super::maintenance::is_covered;
use super::matcher::{Matcher, Target, check_glob};
use super::schedule::RepeatedEnd;
use crate::config::server::{Day, Repeat, TimeOfDay, is_zone_name};
use crate::limits;
use serde_json::Value;

/// `POST alerts/ack {ids,until,reason}`
#[derive(Clone, Debug, PartialEq)]
pub struct AckRequest {
    /// `H/PATH`; never empty.
    pub ids: Vec<String>,
    /// `None`: until it recovers.
    pub until: Option<Moment>,
    pub reason: String,
}

/// `POST silences {match,until,reason}`, with `duration` in place of `until` where clocks may differ.
#[derive(Clone, Debug, PartialEq)]
pub struct SilenceRequest {
    pub matcher: Matcher,
    pub until: Until,
    pub reason: String,
}

/// `POST maintenance {hosts,tags,groups,start,end,repeat,days,zone,reason}`, with `duration` in place of `end`
/// as in the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct MaintenanceRequest {
    /// Globs; all three empty means every host.
    pub hosts: Vec<String>,
    pub tags: Vec<String>,
    pub groups: Vec<String>,
    pub when: When,
    /// `None`: the server's own.
    pub zone: Option<String>,
    pub reason: String,
}

impl MaintenanceRequest {
    /// Whether it is for this host.
    pub fn covers(&self, target: &Target<'_>) -> bool {
        is_covered(target, (&self.hosts, &self.tags, &self.groups))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// From now on where there is no start.
    Once {
        start: Option<Moment>,
        end: Until,
    },
    Repeated {
        repeat: Repeat,
        days: Vec<Day>,
        start: TimeOfDay,
        end: RepeatedEnd,
    },
}

impl AckRequest {
    pub fn parse(body: &[u8]) -> Result<AckRequest, Fault> {
        let body = Members::parse(body, &["ids", "until", "reason"])?;
        let ids = body.texts("ids", limits::ACKNOWLEDGEMENTS)?;
        if ids.is_empty() {
            return Err(Fault::new("ids", "there is no alert to acknowledge")
                .hint("Send ids as GET /api/0/alerts lists them."));
        }
        if ids.iter().any(|id| !id.contains('/')) {
            return Err(Fault::new("ids", "that is not the id of an alert")
                .hint("It is HOST/PATH, as GET /api/0/alerts lists it."));
        }
        Ok(AckRequest { ids, until: body.moment("until")?, reason: body.reason()? })
    }
}

impl SilenceRequest {
    pub fn parse(body: &[u8]) -> Result<SilenceRequest, Fault> {
        let body = Members::parse(body, &["match", "until", "duration", "reason"])?;
        let matcher = match body.get("match") {
            Some(Value::Object(map)) => {
                // A form sends what was left empty as null or "".
                let given = map.iter().filter(|(_, v)| !v.is_null() && v.as_str() != Some(""));
                Matcher::from_pairs(given.map(|(kind, glob)| {
                    glob.as_str()
                        .map(|glob| (kind.as_str(), glob))
                        .ok_or_else(|| Fault::new("match", format!("{kind} is not a text")))
                }))?
            }
            _ => {
                return Err(Fault::new("match", "match must be an object of globs")
                    .hint("Write {\"host\": \"web*\"}; all that are given must match."));
            }
        };
        let Some(until) = body.until("until")? else {
            return Err(Fault::new("until", "a silence needs an end")
                .hint("Give until in Unix seconds, or duration."));
        };
        Ok(SilenceRequest { matcher, until, reason: body.reason()? })
    }
}

const MAINTENANCE: [&str; 10] =
    ["hosts", "tags", "groups", "start", "end", "duration", "repeat", "days", "zone", "reason"];

impl MaintenanceRequest {
    pub fn parse(body: &[u8]) -> Result<MaintenanceRequest, Fault> {
        let body = Members::parse(body, &MAINTENANCE)?;
        let scope = |field| {
            let globs = body.texts(field, limits::SCOPE_NAMES)?;
            globs.iter().try_for_each(|glob| check_glob(field, glob))?;
            Ok::<_, Fault>(globs)
        };
        let hosts = scope("hosts")?.iter().map(|host| host.to_ascii_lowercase()).collect();
        let repeat = match body.text("repeat")? {
            None => Repeat::Once,
            Some(text) => Repeat::parse(text).ok_or_else(|| {
                Fault::new("repeat", format!("{text:?} is no way to repeat"))
                    .hint("Write once, daily, weekly or monthly.")
            })?,
        };
        let days = body.days(repeat)?;
        let zone = body.text("zone")?.filter(|zone| !zone.is_empty());
        if let Some(zone) = zone
            && !is_zone_name(zone)
        {
            return Err(Fault::new("zone", format!("{zone:?} is not a name of a time zone"))
                .hint("Write a name such as Europe/Zurich or UTC."));
        }
        Ok(MaintenanceRequest {
            hosts,
            tags: scope("tags")?,
            groups: scope("groups")?,
            when: body.when(repeat, days)?,
            zone: zone.map(str::to_owned),
            reason: body.reason()?,
        })
    }
}

impl Members {
    fn when(&self, repeat: Repeat, days: Vec<Day>) -> Result<When, Fault> {
        if repeat == Repeat::Once {
            let end = self.until("end")?.ok_or_else(no_end)?;
            return Ok(When::Once { start: self.moment("start")?, end });
        }
        let end = match (self.time_of_day("end")?, self.duration()?) {
            (Some(_), Some(_)) => return Err(both("end")),
            (Some(end), None) => RepeatedEnd::At(end),
            (None, Some(length)) => RepeatedEnd::After(length),
            (None, None) => return Err(no_end()),
        };
        let start = self.time_of_day("start")?.ok_or_else(|| {
            Fault::new("start", "a repeated window needs a start").hint("Write it as 22:00.")
        })?;
        Ok(When::Repeated { repeat, days, start, end })
    }

    /// A list, or one day alone as the configuration takes it.
    fn days(&self, repeat: Repeat) -> Result<Vec<Day>, Fault> {
        let days = match self.get("days") {
            None => &[],
            Some(Value::Array(list)) => list.as_slice(),
            Some(day) => std::slice::from_ref(day),
        };
        match repeat {
            Repeat::Once | Repeat::Daily if !days.is_empty() => {
                return Err(Fault::new("days", "days need repeat weekly or monthly"));
            }
            Repeat::Weekly | Repeat::Monthly if days.is_empty() => {
                return Err(Fault::new("days", "the window has no days")
                    .hint("Write [\"sun\"] for weekly; [1] or [\"2nd tue\"] for monthly."));
            }
            _ if days.len() > 64 => return Err(Fault::new("days", "too many days")),
            _ => {}
        }
        let read = |day: &Value| match day {
            Value::Number(day) => Day::parse(&day.to_string(), repeat),
            Value::String(day) => Day::parse(day.trim(), repeat),
            _ => None,
        };
        let expected = match repeat {
            Repeat::Monthly => "Write days from 1 to 31, or such as \"2nd tue\" or \"last fri\".",
            _ => "Write weekdays such as \"mon\".",
        };
        days.iter()
            .map(|day| {
                read(day)
                    .ok_or_else(|| Fault::new("days", format!("{day} is not a day")).hint(expected))
            })
            .collect()
    }
}

fn no_end() -> Fault {
    Fault::new("end", "the window has no end").hint("Give end, or duration.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::server::Date;
    use crate::time::{Duration, Wall};
    use expect_test::{Expect, expect};

    fn check(fault: Option<Fault>, want: Expect) {
        let fault = fault.expect("a fault");
        want.assert_eq(&format!("{fault} | {}", fault.hint.as_deref().unwrap_or_default()));
    }

    fn time(hour: u8, minute: u8) -> TimeOfDay {
        TimeOfDay { hour, minute, second: 0 }
    }

    #[test]
    fn silence_body_is_read_as_the_specification_writes_it() {
        let body =
            br#"{"match":{"host":"WEB*","tag":null,"path":""},"until":1795360824.5,"reason":" r "}"#;
        let request = SilenceRequest::parse(body).unwrap();
        assert_eq!(request.matcher.to_string(), "host:web*");
        let at = Wall::from_micros(1_795_360_824_500_000);
        assert_eq!(request.until, Until::Moment(Moment::At(at)));
        assert_eq!(request.reason, "r");
        let body = br#"{"match":{"host":"a"},"duration":"1h30m"}"#;
        let request = SilenceRequest::parse(body).unwrap();
        assert_eq!(request.until, Until::After(Duration::from_secs(5400)));
    }

    #[test]
    fn times_are_read_as_numbers_and_as_texts() {
        let day = Date { year: 2026, month: 12, day: 1 };
        let table = [
            ("1795360824", Some(Moment::At(Wall::from_secs(1_795_360_824)))),
            ("\"2026-12-01T22:00\"", Some(Moment::Local(day, time(22, 0)))),
            ("\"2026-12-01 22:00\"", Some(Moment::Local(day, time(22, 0)))),
            ("\"2026-12-01T22:00Z\"", Some(Moment::At(Wall::from_secs(1_796_162_400)))),
            ("\"2026-12-01T22:00:00+01:00\"", Some(Moment::At(Wall::from_secs(1_796_158_800)))),
            ("-1", None),
            ("1e300", None),
            ("253402300800", None),
            ("\"tomorrow\"", None),
            ("\"2026-02-30T22:00\"", None),
            ("true", None),
            ("[1]", None),
        ];
        for (text, want) in table {
            let body = format!(r#"{{"ids":["web1/host"],"until":{text}}}"#);
            let got = AckRequest::parse(body.as_bytes());
            assert_eq!(got.ok().and_then(|r| r.until), want, "{text}");
        }
    }

    #[test]
    fn maintenance_body_is_read_as_the_specification_writes_it() {
        let body = br#"{"hosts":["Web-01"],"tags":[],"groups":null,"start":"22:00","end":"06:00",
            "repeat":"monthly","days":[1,"2nd tue"],"zone":"Europe/Zurich","reason":"patches"}"#;
        let request = MaintenanceRequest::parse(body).unwrap();
        assert_eq!(request.hosts, ["web-01"]);
        assert_eq!(request.zone.as_deref(), Some("Europe/Zurich"));
        let want = When::Repeated {
            repeat: Repeat::Monthly,
            days: vec![Day::Month(1), Day::Nth(2, 1)],
            start: time(22, 0),
            end: RepeatedEnd::At(time(6, 0)),
        };
        assert_eq!(request.when, want);
        let once = MaintenanceRequest::parse(br#"{"duration":3600}"#).unwrap().when;
        let end = Until::After(Duration::from_secs(3600));
        assert_eq!(once, When::Once { start: None, end });
    }

    #[test]
    fn body_that_cannot_be_meant_is_refused_with_field_and_hint() {
        let ack = |body: &str| AckRequest::parse(body.as_bytes()).err();
        let silence = |body: &str| SilenceRequest::parse(body.as_bytes()).err();
        let window = |body: &str| MaintenanceRequest::parse(body.as_bytes()).err();
        check(
            ack("[]"),
            expect!["the body must be a JSON object | The members are ids, until, reason."],
        );
        check(
            ack("{\"ids\":[]}"),
            expect![
                "ids: there is no alert to acknowledge | Send ids as GET /api/0/alerts lists them."
            ],
        );
        check(
            ack("{\"ids\":[\"web1\"]}"),
            expect![
                "ids: that is not the id of an alert | It is HOST/PATH, as GET /api/0/alerts lists it."
            ],
        );
        check(ack("{\"ids\":[7]}"), expect!["ids: ids must be a list of texts | "]);
        check(ack("{\"ids\":\"a\"}"), expect!["ids: ids must be a list | "]);
        check(
            silence("{}"),
            expect![[
                r#"match: match must be an object of globs | Write {"host": "web*"}; all that are given must match."#
            ]],
        );
        check(
            silence(r#"{"match":{}}"#),
            expect![
                "match: the scope is empty | Give at least one of host, group, tag, plugin and path; host * is all."
            ],
        );
        check(
            silence(r#"{"match":{"hots":"a"}}"#),
            expect![[
                r#"match: there is no kind of scope "hots" | The kinds are host, group, tag, plugin and path."#
            ]],
        );
        check(silence(r#"{"match":{"host":7}}"#), expect!["match: host is not a text | "]);
        check(
            silence(r#"{"match":{"host":"a"}}"#),
            expect!["until: a silence needs an end | Give until in Unix seconds, or duration."],
        );
        check(
            silence(r#"{"match":{"host":"a"},"until":1,"duration":1}"#),
            expect!["until: until and duration exclude each other | Send one of them."],
        );
        check(
            silence(r#"{"match":{"host":"a"},"until":"x"}"#),
            expect![
                "until: until is not a time | Give Unix seconds, or 2026-12-01T22:00 by the clock of the zone."
            ],
        );
        check(
            silence(&format!(
                r#"{{"match":{{"host":"a"}},"until":1,"reason":"{}"}}"#,
                "r".repeat(1025)
            )),
            expect!["reason: the reason is longer than 1024 bytes | "],
        );
        check(
            window(r#"{"host":["a"]}"#),
            expect![[
                r#"there is no member "host" | The members are hosts, tags, groups, start, end, duration, repeat, days, zone, reason."#
            ]],
        );
        check(window("{}"), expect!["end: the window has no end | Give end, or duration."]);
        check(
            window(r#"{"hosts":[""],"duration":1}"#),
            expect!["hosts: the glob is empty | Leave it away, or write *."],
        );
        check(
            window(r#"{"repeat":"yearly"}"#),
            expect![[
                r#"repeat: "yearly" is no way to repeat | Write once, daily, weekly or monthly."#
            ]],
        );
        check(
            window(r#"{"repeat":"weekly"}"#),
            expect![[
                r#"days: the window has no days | Write ["sun"] for weekly; [1] or ["2nd tue"] for monthly."#
            ]],
        );
        check(
            window(r#"{"repeat":"weekly","days":["someday"]}"#),
            expect![[r#"days: "someday" is not a day | Write weekdays such as "mon"."#]],
        );
        check(
            window(r#"{"repeat":"monthly","days":[32]}"#),
            expect![[
                r#"days: 32 is not a day | Write days from 1 to 31, or such as "2nd tue" or "last fri"."#
            ]],
        );
        check(
            window(r#"{"repeat":"daily","days":["mon"]}"#),
            expect!["days: days need repeat weekly or monthly | "],
        );
        check(
            window(r#"{"repeat":"daily","start":"25:00","duration":"1h"}"#),
            expect![
                "start: start is not a time of day | Write it as 22:00, by the clock of the zone."
            ],
        );
        check(
            window(r#"{"repeat":"daily","duration":"1h"}"#),
            expect!["start: a repeated window needs a start | Write it as 22:00."],
        );
        check(
            window(r#"{"repeat":"daily","start":"22:00","duration":"0"}"#),
            expect!["duration: that is not a duration | Write 30m, or seconds."],
        );
        check(
            window(r#"{"zone":"../etc","duration":"1h"}"#),
            expect![[
                r#"zone: "../etc" is not a name of a time zone | Write a name such as Europe/Zurich or UTC."#
            ]],
        );
    }
}
