//! Who speaks and when; what is shared over a way that loses half of it.

use super::*;

fn note(role: Role, epoch: u64, deaf: bool) -> Note {
    let saw = note::Mark::default();
    Note { role, epoch, every: 10, deaf, saw, base: 0, at: 0, shared: Vec::new(), end: true }
}

fn at(secs: u64) -> Mono {
    Mono::from_secs(1000 + secs)
}

const PATIENCE: Duration = Duration::from_secs(35);

fn secondary() -> Pair {
    Pair::new(Role::Secondary, PATIENCE, at(0))
}

#[test]
fn secondary_speaks_within_one_deadline_of_the_last_heartbeat_and_hands_back_at_the_next() {
    let mut pair = secondary();
    pair.hear(at(10), &note(Role::Primary, 7, false), true, PATIENCE);
    assert_eq!(pair.judge(at(44), false), Turn::default());
    assert_eq!(pair.due(), Some(at(45)));
    let lost = Turn { speaks: Some(true), peer: Some(false), ..Turn::default() };
    assert_eq!(pair.judge(at(45), false), lost);
    assert_eq!(pair.judge(at(46), false), Turn::default());
    pair.hear(at(90), &note(Role::Primary, 7, false), true, PATIENCE);
    let back = Turn { speaks: Some(false), peer: Some(true), ..Turn::default() };
    assert_eq!(pair.judge(at(90), false), back);
}

#[test]
fn secondary_that_never_hears_a_primary_speaks_one_deadline_after_its_start() {
    let mut pair = secondary();
    assert_eq!(pair.judge(at(34), false), Turn::default());
    assert!(pair.is_silent());
    assert_eq!(pair.judge(at(35), false).speaks, Some(true));
}

#[test]
fn secondary_speaks_for_a_primary_that_hears_no_host_unless_it_hears_none_either() {
    for (own, speaks) in [(false, Some(true)), (true, None)] {
        let mut pair = secondary();
        pair.hear(at(1), &note(Role::Primary, 7, true), true, PATIENCE);
        assert_eq!(pair.judge(at(1), own).speaks, speaks);
        assert!(pair.is_peer_alive());
    }
}

#[test]
fn primary_speaks_once_it_knows_what_was_told_or_after_one_deadline() {
    let mut pair = Pair::new(Role::Primary, PATIENCE, at(0));
    assert!(pair.is_silent());
    pair.hear(at(1), &note(Role::Secondary, 7, false), false, PATIENCE);
    assert_eq!(pair.judge(at(1), false).speaks, None);
    pair.hear(at(2), &note(Role::Secondary, 7, false), true, PATIENCE);
    assert_eq!(pair.judge(at(2), false).speaks, Some(true));
    let mut alone = Pair::new(Role::Primary, PATIENCE, at(0));
    assert_eq!(alone.judge(at(35), false).speaks, Some(true));
}

#[test]
fn two_of_the_same_role_both_speak_and_it_is_said_once() {
    for role in [Role::Primary, Role::Secondary] {
        let mut pair = Pair::new(role, PATIENCE, at(0));
        pair.hear(at(1), &note(role, 7, false), false, PATIENCE);
        let turn = pair.judge(at(1), false);
        assert_eq!((turn.speaks, turn.same_role), (Some(true), true), "{role:?}");
        pair.hear(at(2), &note(role, 7, false), false, PATIENCE);
        assert!(!pair.judge(at(2), false).same_role);
    }
}

#[test]
fn restart_of_the_other_side_names_when_its_old_process_was_heard_last() {
    let mut pair = secondary();
    pair.hear(at(10), &note(Role::Primary, 7, false), true, PATIENCE);
    pair.hear(at(30), &note(Role::Primary, 8, false), true, PATIENCE);
    assert_eq!(pair.judge(at(30), false).restarted, Some(at(10)));
    assert_eq!(pair.judge(at(31), false).restarted, None);
}

/// Keys and what they hold; nothing where they were taken back.
type News = Vec<(Arc<str>, Option<String>)>;

/// One side's shelf and the other's reader, over a way that loses notes and marks.
struct Way {
    shelf: Shelf,
    reader: Reader,
    prng: crate::prng::Prng,
}

impl Way {
    /// Until everything is there; gives back how many notes it took.
    fn run(&mut self, loss: f64) -> (usize, News) {
        let mut news = Vec::new();
        for turn in 1.. {
            assert!(turn < 10_000, "it never ends");
            if !self.prng.chance(loss) {
                self.shelf.seen(self.reader.mark());
            }
            let (base, place, shared, end) = self.shelf.fill();
            let epoch = self.shelf.epoch();
            let saw = note::Mark::default();
            let (role, every, deaf) = (Role::Primary, 10, false);
            let sent = Note { role, epoch, every, deaf, saw, base, at: place, shared, end };
            let text = sent.render();
            assert!(text.len() < crate::limits::STR_MAX, "{}: {text}", text.len());
            let parsed = Note::parse(&text).unwrap();
            assert_eq!(parsed, sent);
            if !self.prng.chance(loss) {
                news.extend(self.reader.take(&parsed));
                if self.reader.is_complete() && !self.shelf.has_news() {
                    return (turn, news);
                }
            }
        }
        unreachable!()
    }
}

use std::sync::Arc;

#[test]
fn everything_arrives_once_and_in_order_over_a_way_that_loses_half_of_it() {
    for seed in 0..32 {
        let mut way = Way {
            shelf: Shelf::new(seed + 1),
            reader: Reader::default(),
            prng: crate::prng::Prng::new(seed),
        };
        for n in 0..40 {
            // Some texts need many notes, with quotes and letters of several bytes where they are cut.
            way.shelf.put(&format!("k{n}"), Some("\"é".repeat((n % 7) * 100)));
        }
        way.shelf.put("k3", None);
        way.shelf.put("never", None);
        let (_, news) = way.run(0.5);
        let mut got: Vec<(String, Option<usize>)> =
            news.iter().map(|(k, t)| (k.to_string(), t.as_ref().map(String::len))).collect();
        assert_eq!(got.pop(), Some(("k3".to_owned(), None)), "seed {seed}");
        let want: Vec<(String, Option<usize>)> =
            (0..40).filter(|n| *n != 3).map(|n| (format!("k{n}"), Some((n % 7) * 300))).collect();
        assert_eq!(got, want, "seed {seed}");
        // What is gone and known to be gone is forgotten; what changes comes alone.
        way.shelf.seen(way.reader.mark());
        way.shelf.put("k5", Some("new".to_owned()));
        assert_eq!(way.run(0.5).1, [("k5".into(), Some("new".to_owned()))]);
    }
}

#[test]
fn sender_that_was_restarted_takes_back_what_it_does_not_name_any_more() {
    let mut way =
        Way { shelf: Shelf::new(1), reader: Reader::default(), prng: crate::prng::Prng::new(1) };
    way.shelf.put("a", Some("1".to_owned()));
    way.shelf.put("b", Some("2".to_owned()));
    way.run(0.0);
    way.shelf = Shelf::new(2);
    way.shelf.put("b", Some("2".to_owned()));
    let (_, news) = way.run(0.0);
    assert_eq!(news, [("b".into(), Some("2".to_owned())), ("a".into(), None)]);
}

#[test]
fn note_that_is_none_is_refused() {
    for text in ["", "{}", r#"{"r":"third","e":1,"i":1,"s":[0,0,0,0],"b":0}"#, "[1]"] {
        assert_eq!(Note::parse(text), None, "{text}");
    }
}
