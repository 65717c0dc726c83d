//! The level of one metric: up at once (or after `for`), down only past the recovery point.
//!
//! A pure state machine over a rule and values with their times. What is told of a change is in
//! [`Transition::notice`]; reminders, silences and acknowledgements are the engine's.

use super::rule::Rule;
use crate::config::server::{self as config, Limit, Operator};
use crate::time::Mono;
use crate::wire::LeafValue;

/// How bad a metric is, in ascending order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    #[default]
    Ok,
    Warning,
    Unknown,
    Critical,
}

impl Level {
    pub const ALL: [Level; 4] = [Level::Ok, Level::Warning, Level::Unknown, Level::Critical];
    const RAISED: [Level; 3] = [Level::Warning, Level::Unknown, Level::Critical];

    /// As notices and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Ok => "OK",
            Level::Warning => "WARNING",
            Level::Unknown => "UNKNOWN",
            Level::Critical => "CRITICAL",
        }
    }

    /// The rank of a notice about it; OK is info.
    pub const fn rank(self) -> config::Level {
        match self {
            Level::Ok => config::Level::Info,
            Level::Warning => config::Level::Warning,
            Level::Unknown => config::Level::Unknown,
            Level::Critical => config::Level::Critical,
        }
    }

    /// Ignores case.
    pub fn parse(text: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text))
    }
}

/// A change of level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    pub from: Level,
    pub to: Level,
}

/// What people are told of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// It became worse: `WARNING: …`, `UNKNOWN: …`, `CRITICAL: …`.
    Raised,
    /// It is over: `RECOVERED: …`.
    Recovered,
}

impl Transition {
    /// Every rise, and the return to OK; never a step down in between.
    pub fn notice(self) -> Option<NoticeKind> {
        match self {
            Transition { from, to } if to > from => Some(NoticeKind::Raised),
            Transition { from, to: Level::Ok } if from > Level::Ok => Some(NoticeKind::Recovered),
            _ => None,
        }
    }
}

/// What a value did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The rule cannot judge such a value (no number, or none that is finite): count it. Nothing
    /// has changed.
    Unjudged,
    Same,
    Changed(Transition),
}

/// The level of one metric of one host, and since when it has been worse than that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertState {
    level: Level,
    /// Since when the values have reached WARNING, UNKNOWN, CRITICAL without a break.
    reached: [Option<Mono>; 3],
}

impl AlertState {
    /// As it was saved. What had not held long enough by then begins anew.
    pub fn restored(level: Level) -> AlertState {
        AlertState { level, ..AlertState::default() }
    }

    pub fn level(&self) -> Level {
        self.level
    }

    /// The values have stopped coming: what has to hold for a while begins anew when they are back.
    pub fn interrupt(&mut self) {
        self.reached = [None; 3];
    }

    /// Judges the next value. `at` is when it was collected; it may be a little earlier than the
    /// one before.
    pub fn step(&mut self, rule: &Rule, value: LeafValue<'_>, at: Mono) -> Step {
        let Some(reached) = rule.reached(value) else { return Step::Unjudged };
        let from = self.level;
        let mut to = rule.held(from, value);
        for (level, since) in Level::RAISED.into_iter().zip(&mut self.reached) {
            if reached < level {
                *since = None;
            } else if at.since(*since.get_or_insert(at)) >= rule.hold {
                to = to.max(level);
            }
        }
        // The timer of a level above what the value reached never runs, so this holds.
        debug_assert!(to <= reached.max(from), "raised above the value");
        self.level = to;
        if from == to { Step::Same } else { Step::Changed(Transition { from, to }) }
    }
}

impl Rule {
    /// The level after this value where `before` is the one so far and nothing has to hold for a
    /// while; `None` where the value cannot be judged.
    pub fn next_level(&self, before: Level, value: LeafValue<'_>) -> Option<Level> {
        Some(self.reached(value)?.max(self.held(before, value)))
    }

    /// The level that the value alone has; `None` where it cannot be judged.
    pub fn reached(&self, value: LeafValue<'_>) -> Option<Level> {
        if !self.judges(value) {
            return None;
        }
        if self.operator == Operator::Nagios {
            return match value {
                LeafValue::Number(code) => Some(nagios_level(code)),
                _ => None,
            };
        }
        let crosses = |limit: &Option<Limit>| {
            limit.as_ref().is_some_and(|limit| crosses(self.operator, value, limit))
        };
        Some(if crosses(&self.critical) {
            Level::Critical
        } else if crosses(&self.warning) {
            Level::Warning
        } else {
            Level::Ok
        })
    }

    /// Finite numbers; with `==` and `!=` text and truth values too.
    fn judges(&self, value: LeafValue<'_>) -> bool {
        match value {
            LeafValue::Number(number) => number.is_finite(),
            LeafValue::Text(_) | LeafValue::Bool(_) => {
                matches!(self.operator, Operator::Equal | Operator::NotEqual)
            }
            LeafValue::Null => false,
        }
    }

    /// The worst level up to `from` that has not recovered at this value.
    fn held(&self, from: Level, value: LeafValue<'_>) -> Level {
        let mut levels = Level::RAISED.into_iter().rev().filter(|level| *level <= from);
        levels.find(|level| self.holds(*level, value)).unwrap_or(Level::Ok)
    }

    /// Whether a level that was raised is kept: while its limit, moved to the recovery point, is
    /// still crossed.
    fn holds(&self, level: Level, value: LeafValue<'_>) -> bool {
        match (self.operator, value, self.recovers_at(level)) {
            (Operator::Nagios, LeafValue::Number(code), _) => nagios_level(code) >= level,
            (operator, LeafValue::Number(number), Some(point)) => ordered(operator, number, point),
            (operator, value, _) => {
                self.limit(level).is_some_and(|limit| crosses(operator, value, limit))
            }
        }
    }

    /// The limit of a level as written; `None` for OK, UNKNOWN and with `nagios`.
    pub fn limit(&self, level: Level) -> Option<&Limit> {
        match level {
            _ if self.operator == Operator::Nagios => None,
            Level::Warning => self.warning.as_ref(),
            Level::Critical => self.critical.as_ref(),
            Level::Ok | Level::Unknown => None,
        }
    }

    /// Where a level that was raised ends: the limit less its hysteresis, on the side away from
    /// trouble. `None` where the operator has no order, or the level no limit.
    pub fn recovers_at(&self, level: Level) -> Option<f64> {
        let ascending = self.operator.ascending()?;
        let limit = self.limit(level)?.as_number()?;
        // Below zero the margin is taken on the absolute value, so the factor turns around.
        let downwards = ascending == (limit >= 0.0);
        let factor = if downwards { 1.0 - self.hysteresis } else { 1.0 + self.hysteresis };
        Some(limit * factor)
    }
}

/// The exit codes of Nagios plugins.
fn nagios_level(code: f64) -> Level {
    if code == 0.0 {
        Level::Ok
    } else if code == 1.0 {
        Level::Warning
    } else if code == 2.0 {
        Level::Critical
    } else {
        Level::Unknown
    }
}

fn crosses(operator: Operator, value: LeafValue<'_>, limit: &Limit) -> bool {
    match (operator, value, limit.as_number()) {
        (Operator::Equal, ..) => equals(value, limit),
        (Operator::NotEqual, ..) => !equals(value, limit),
        (operator, LeafValue::Number(number), Some(limit)) => ordered(operator, number, limit),
        _ => false,
    }
}

fn ordered(operator: Operator, number: f64, limit: f64) -> bool {
    match operator {
        Operator::Greater => number > limit,
        Operator::GreaterEqual => number >= limit,
        Operator::Less => number < limit,
        Operator::LessEqual => number <= limit,
        Operator::Equal | Operator::NotEqual | Operator::Nagios => false,
    }
}

/// Values of different kinds are never equal.
fn equals(value: LeafValue<'_>, limit: &Limit) -> bool {
    match (value, limit) {
        (LeafValue::Text(value), Limit::Text(limit)) => value == limit,
        (LeafValue::Bool(value), Limit::Bool(limit)) => value == *limit,
        (LeafValue::Number(value), limit) => limit.as_number() == Some(value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::rule;
    use super::*;
    use Level::{Critical as C, Ok as O, Unknown as U, Warning as W};
    use proptest::prelude::*;

    /// The levels after each value, a minute apart.
    fn levels(entry: &str, values: &[f64]) -> Vec<Level> {
        let values: Vec<LeafValue> = values.iter().map(|v| LeafValue::Number(*v)).collect();
        levels_of(entry, &values)
    }

    fn levels_of(entry: &str, values: &[LeafValue]) -> Vec<Level> {
        let rule = rule(entry);
        let mut state = AlertState::default();
        let judge = |(minute, value): (usize, &LeafValue)| {
            state.step(&rule, *value, Mono::from_secs(60 * minute as u64));
            state.level()
        };
        values.iter().enumerate().map(judge).collect()
    }

    #[test]
    fn levels_follow_limits_and_recovery_points() {
        let table: &[(&str, &[f64], &[Level])] = &[
            // The example of the README and of SPEC section 3.
            ("{critical: 90, hysteresis: 0.10}", &[91.0, 85.0, 79.0], &[C, C, O]),
            // Each level is held by itself.
            (
                "{warning: 80, critical: 90, hysteresis: 0.1}",
                &[91.0, 85.0, 79.0, 72.5, 71.9],
                &[C, C, W, W, O],
            ),
            (
                "{warning: 80, critical: 90}",
                &[79.0, 85.0, 91.0, 85.0, 79.0, 78.0],
                &[O, W, C, W, W, O],
            ),
            // The limit itself is crossed by >= and <= only.
            ("{warning: 80}", &[80.0, 80.1], &[O, W]),
            ("{warning: 80, operator: \">=\"}", &[79.9, 80.0], &[O, W]),
            ("{warning: 10, operator: \"<\"}", &[10.0, 9.9], &[O, W]),
            ("{warning: 10, operator: \"<=\"}", &[10.1, 10.0], &[O, W]),
            // Downwards is the bad side.
            (
                "{warning: 10, critical: 5, operator: \"<\", hysteresis: 0.1}",
                &[12.0, 9.0, 4.0, 5.4, 5.6, 10.5, 11.1],
                &[O, W, C, C, W, W, O],
            ),
            // Below zero the margin is on the absolute value.
            ("{warning: -10, hysteresis: 0.1}", &[-9.0, -10.5, -11.5], &[W, W, O]),
            ("{warning: -10, operator: \"<\", hysteresis: 0.1}", &[-11.0, -9.5, -8.9], &[W, W, O]),
            // A limit of zero and a hysteresis of zero recover at the limit.
            ("{warning: 0}", &[1.0, 0.0], &[W, O]),
            ("{warning: 80, hysteresis: 0}", &[81.0, 80.0], &[W, O]),
            ("{warning: 80, hysteresis: 1}", &[81.0, 1.0, 0.0], &[W, W, O]),
            ("{critical: 90, hysteresis: 0.1}", &[91.0, 81.1, 81.0], &[C, C, O]),
            ("{warning: 1, critical: 2, operator: \"==\"}", &[1.0, 2.0, 1.0, 3.0], &[W, C, W, O]),
            ("{warning: 1000, operator: \"!=\"}", &[1000.0, 100.0, 1000.0], &[O, W, O]),
            (
                "{operator: nagios}",
                &[0.0, 1.0, 2.0, 3.0, 1.0, 0.0, 3.0, 2.0, 4.0, -1.0, 0.5, 0.0],
                &[O, W, C, U, W, O, U, C, U, U, U, O],
            ),
        ];
        for (entry, values, want) in table {
            assert_eq!(levels(entry, values), *want, "{entry} {values:?}");
        }
    }

    #[test]
    fn equality_compares_text_and_truth_values_and_nothing_else_does() {
        let (on, off) = (LeafValue::Bool(true), LeafValue::Bool(false));
        let text = LeafValue::Text;
        let health = "{critical: ONLINE, operator: \"!=\"}";
        assert_eq!(levels_of(health, &[text("ONLINE"), text("DEGRADED")]), [O, C]);
        assert_eq!(levels_of("{warning: true, operator: \"==\"}", &[off, on, off]), [O, W, O]);
        assert_eq!(levels_of("{warning: \"1\", operator: \"==\"}", &[LeafValue::Number(1.0)]), [O]);
        assert_eq!(levels_of("{warning: 1, operator: \"!=\"}", &[text("1")]), [W]);
        let nonsense = [
            LeafValue::Null,
            LeafValue::Number(f64::NAN),
            LeafValue::Number(f64::INFINITY),
            text("99"),
            on,
        ];
        for entry in ["{warning: 80}", "{operator: nagios}", "{warning: 1, operator: \"<\"}"] {
            let rule = rule(entry);
            for value in nonsense {
                for level in Level::ALL {
                    let mut state = AlertState::restored(level);
                    assert_eq!(state.step(&rule, value, Mono::ZERO), Step::Unjudged);
                    assert_eq!(state.level(), level);
                }
            }
        }
        let unequal = rule("{warning: 1, operator: \"!=\"}");
        assert_eq!(unequal.reached(LeafValue::Null), None);
    }

    #[test]
    fn level_with_for_is_raised_once_it_has_held() {
        let entry = "{warning: 80, critical: 90, for: 3m, hysteresis: 0}";
        let table: &[(&[f64], &[Level])] = &[
            (&[85.0, 85.0, 85.0, 85.0], &[O, O, O, W]),
            // A break begins anew.
            (&[85.0, 85.0, 70.0, 85.0, 85.0, 85.0, 85.0], &[O, O, O, O, O, O, W]),
            // Each level has a time of its own.
            (&[85.0, 95.0, 95.0, 95.0, 95.0, 85.0], &[O, O, O, W, C, W]),
            // Down is at once.
            (&[95.0, 95.0, 95.0, 95.0, 70.0], &[O, O, O, C, O]),
        ];
        for (values, want) in table {
            assert_eq!(levels(entry, values), *want, "{values:?}");
        }
        let rule = rule(entry);
        let mut state = AlertState::default();
        let value = LeafValue::Number(85.0);
        state.step(&rule, value, Mono::from_secs(100));
        // An older sample that came late is no break and no time gained.
        assert_eq!(state.step(&rule, value, Mono::from_secs(40)), Step::Same);
        state.interrupt();
        assert_eq!(state.step(&rule, value, Mono::from_secs(1000)), Step::Same);
        let raised = Step::Changed(Transition { from: O, to: W });
        assert_eq!(state.step(&rule, value, Mono::from_secs(1180)), raised);
    }

    #[test]
    fn notices_are_for_rises_and_the_end() {
        let told: Vec<_> = Level::ALL
            .into_iter()
            .flat_map(|from| Level::ALL.map(|to| Transition { from, to }))
            .filter_map(|change| Some((change.from, change.to, change.notice()?)))
            .collect();
        let (raised, recovered) = (NoticeKind::Raised, NoticeKind::Recovered);
        let want = [
            (O, W, raised),
            (O, U, raised),
            (O, C, raised),
            (W, O, recovered),
            (W, U, raised),
            (W, C, raised),
            (U, O, recovered),
            (U, C, raised),
            (C, O, recovered),
        ];
        assert_eq!(told, want);
    }

    #[test]
    fn rule_that_lost_a_limit_lets_its_level_go() {
        let mut state = AlertState::restored(C);
        let value = LeafValue::Number(85.0);
        state.step(&rule("{warning: 80}"), value, Mono::ZERO);
        assert_eq!(state.level(), W);
        let mut state = AlertState::restored(U);
        state.step(&rule("{critical: 90}"), value, Mono::ZERO);
        assert_eq!(state.level(), O);
    }

    #[test]
    fn recovery_point_is_of_each_level() {
        let both = rule("{warning: 80, critical: 90, hysteresis: 0.1}");
        assert_eq!(both.recovers_at(C), Some(81.0));
        assert_eq!(both.recovers_at(W), Some(72.0));
        assert_eq!(both.recovers_at(O), None);
        assert_eq!(rule("{operator: nagios, warning: 1}").recovers_at(W), None);
        assert_eq!(rule("{warning: 1, operator: \"==\"}").recovers_at(W), None);
        assert_eq!(Level::parse("critical"), Some(C));
        assert_eq!(Level::parse("down"), None);
    }

    const OPERATORS: [Operator; 4] =
        [Operator::Greater, Operator::GreaterEqual, Operator::Less, Operator::LessEqual];

    prop_compose! {
        fn any_rule()(
            operator in prop::sample::select(OPERATORS.as_slice()),
            limits in prop::array::uniform2(-100i32..100),
            which in 1u8..4,
            hysteresis in prop_oneof![Just(0.0), 0.0..1.0],
        ) -> Rule {
            let (low, high) = (limits[0].min(limits[1]), limits[0].max(limits[1]));
            let up = operator.ascending() == Some(true);
            let (warning, critical) = if up { (low, high) } else { (high, low) };
            let limit = |of: i32, bit: u8| (which & bit != 0).then_some(Limit::Integer(of.into()));
            Rule {
                operator,
                warning: limit(warning, 1),
                critical: limit(critical, 2),
                hysteresis,
                ..rule("{warning: 0}")
            }
        }
    }

    proptest! {
        #[test]
        fn value_moving_away_from_the_limit_never_raises(
            rule in any_rule(),
            level in prop::sample::select(Level::ALL.as_slice()),
            first in -250f64..250.0,
            moved in 0f64..100.0,
        ) {
            let mut state = AlertState::restored(level);
            state.step(&rule, LeafValue::Number(first), Mono::ZERO);
            let before = state.level();
            let away = if rule.operator.ascending() == Some(true) { -moved } else { moved };
            state.step(&rule, LeafValue::Number(first + away), Mono::from_secs(1));
            prop_assert!(state.level() <= before);
        }

        #[test]
        fn constant_value_settles_at_once(
            rule in any_rule(),
            level in prop::sample::select(Level::ALL.as_slice()),
            value in -250f64..250.0,
        ) {
            let mut state = AlertState::restored(level);
            state.step(&rule, LeafValue::Number(value), Mono::ZERO);
            for second in 1..5 {
                let step = state.step(&rule, LeafValue::Number(value), Mono::from_secs(second));
                prop_assert_eq!(step, Step::Same);
            }
        }

        #[test]
        fn level_is_never_below_what_the_value_reaches(
            rule in any_rule(),
            level in prop::sample::select(Level::ALL.as_slice()),
            value in -250f64..250.0,
        ) {
            let mut state = AlertState::restored(level);
            state.step(&rule, LeafValue::Number(value), Mono::ZERO);
            let reached = rule.reached(LeafValue::Number(value)).unwrap();
            prop_assert!(state.level() >= reached);
            prop_assert!(state.level() <= reached.max(level));
        }
    }
}
