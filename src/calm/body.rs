//! Reading members of a JSON body: types, bounds, times. Says which member is wrong and how it is written.

use super::fault::{Fault, FaultKind};
use crate::config::server::{Date, Repeat, Start, TimeOfDay};
use crate::limits;
use crate::time::{Duration, Wall, parse_duration};
use serde_json::{Map, Value};

/// The last second of the year 9999.
const SECS_MAX: f64 = 253_402_300_799.0;
/// A hundred years, as in the configuration.
const DURATION_MAX: f64 = 3_155_760_000.0;

/// A time as it is sent: Unix seconds or a text with an offset, or else by the clock of a zone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    At(Wall),
    Local(Date, TimeOfDay),
}

/// Until when something is quiet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Until {
    Moment(Moment),
    After(Duration),
}

/// The members of a body, all of them known.
pub struct Members(Map<String, Value>);

impl Members {
    pub fn parse(body: &[u8], known: &[&str]) -> Result<Members, Fault> {
        let Ok(Value::Object(map)) = serde_json::from_slice(body) else {
            let hint = format!("The members are {}.", known.join(", "));
            return Err(no_field("the body must be a JSON object").hint(hint));
        };
        if let Some(name) = map.keys().find(|name| !known.contains(&name.as_str())) {
            let hint = format!("The members are {}.", known.join(", "));
            return Err(no_field(format!("there is no member {name:?}")).hint(hint));
        }
        Ok(Members(map))
    }

    /// `null` is as good as absent.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    pub fn text(&self, field: &'static str) -> Result<Option<&str>, Fault> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Fault::new(field, format!("{field} must be a text"))),
        }
    }

    pub fn reason(&self) -> Result<String, Fault> {
        let text = self.text("reason")?.unwrap_or_default().trim();
        if text.len() > limits::TEXT_MAX {
            let what = format!("the reason is longer than {} bytes", limits::TEXT_MAX);
            return Err(Fault::new("reason", what));
        }
        Ok(text.to_owned())
    }

    pub fn texts(&self, field: &'static str, most: usize) -> Result<Vec<String>, Fault> {
        let list = match self.get(field) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(Fault::new(field, format!("{field} must be a list"))),
        };
        if list.len() > most {
            return Err(Fault::new(field, format!("{field} has more than {most} items")));
        }
        let text = |item: &Value| item.as_str().map(str::to_owned);
        let texts: Option<Vec<String>> = list.iter().map(text).collect();
        texts.ok_or_else(|| Fault::new(field, format!("{field} must be a list of texts")))
    }

    pub fn moment(&self, field: &'static str) -> Result<Option<Moment>, Fault> {
        let moment = match self.get(field) {
            None => return Ok(None),
            Some(Value::Number(secs)) => secs
                .as_f64()
                .filter(|secs| (0.0..=SECS_MAX).contains(secs))
                .map(|secs| Moment::At(Wall::from_secs_f64(secs))),
            Some(Value::String(text)) => parse_moment(text.trim()),
            Some(_) => None,
        };
        moment.map(Some).ok_or_else(|| {
            Fault::new(field, format!("{field} is not a time"))
                .hint("Give Unix seconds, or 2026-12-01T22:00 by the clock of the zone.")
        })
    }

    pub fn duration(&self) -> Result<Option<Duration>, Fault> {
        let duration = match self.get("duration") {
            None => return Ok(None),
            Some(Value::Number(secs)) => secs
                .as_f64()
                .filter(|secs| (0.0..=DURATION_MAX).contains(secs))
                .map(Duration::from_secs_f64),
            Some(Value::String(text)) => {
                parse_duration(text).filter(|length| length.as_secs_f64() <= DURATION_MAX)
            }
            Some(_) => None,
        };
        duration.filter(|length| !length.is_zero()).map(Some).ok_or_else(|| {
            Fault::new("duration", "that is not a duration").hint("Write 30m, or seconds.")
        })
    }

    /// A time in `field`, or a `duration`; not both.
    pub fn until(&self, field: &'static str) -> Result<Option<Until>, Fault> {
        let (moment, duration) = (self.moment(field)?, self.duration()?);
        match (moment, duration) {
            (Some(_), Some(_)) => Err(both(field)),
            (moment, duration) => Ok(moment.map(Until::Moment).or(duration.map(Until::After))),
        }
    }

    pub fn time_of_day(&self, field: &'static str) -> Result<Option<TimeOfDay>, Fault> {
        let hint = "Write it as 22:00, by the clock of the zone.";
        let fault = || Fault::new(field, format!("{field} is not a time of day")).hint(hint);
        match self.get(field) {
            None => Ok(None),
            Some(Value::String(text)) => match Start::parse(text.trim(), Repeat::Daily) {
                Some(Start::Daily(time)) => Ok(Some(time)),
                _ => Err(fault()),
            },
            Some(_) => Err(fault()),
        }
    }
}

/// `2026-12-01T22:00`; with `Z` or an offset it is no zone's.
fn parse_moment(text: &str) -> Option<Moment> {
    if let Some(Start::At(date, time)) = Start::parse(text, Repeat::Once) {
        return Some(Moment::Local(date, time));
    }
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Moment::At(Wall::from_micros(at.as_microsecond())))
}

fn no_field(what: impl Into<String>) -> Fault {
    Fault::of(FaultKind::Invalid, what)
}

pub fn both(field: &'static str) -> Fault {
    Fault::new(field, format!("{field} and duration exclude each other")).hint("Send one of them.")
}
