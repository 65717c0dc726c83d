//! Which requests come of which samples, read back with a reader of the wire format of their own.

use super::*;
use crate::engine::{Numbers, RoundTrip};
use crate::notice::hostile::hostile;

/// A sample as a receiver reads it: labels as text, value, time.
type Read = (String, f64, i64);

/// Reads protobuf as its description says, on purpose not by the code that writes it.
struct Fields<'a>(&'a [u8]);

enum Field<'a> {
    Bytes(&'a [u8]),
    Fixed(u64),
    Varint(u64),
}

impl<'a> Fields<'a> {
    fn varint(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = self.0[0];
            self.0 = &self.0[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }

    fn next(&mut self) -> Option<(u64, Field<'a>)> {
        if self.0.is_empty() {
            return None;
        }
        let tag = self.varint();
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()),
            1 => {
                let (bytes, rest) = self.0.split_at(8);
                self.0 = rest;
                Field::Fixed(u64::from_le_bytes(bytes.try_into().unwrap()))
            }
            2 => {
                let len = self.varint() as usize;
                let (bytes, rest) = self.0.split_at(len);
                self.0 = rest;
                Field::Bytes(bytes)
            }
            other => panic!("wire type {other}"),
        };
        Some((tag >> 3, field))
    }
}

fn read_label(bytes: &[u8]) -> (String, String) {
    let mut fields = Fields(bytes);
    let mut text = |want: u64| match fields.next() {
        Some((number, Field::Bytes(bytes))) if number == want => {
            String::from_utf8(bytes.to_vec()).unwrap()
        }
        _ => panic!("not a label"),
    };
    (text(1), text(2))
}

pub fn read(request: &[u8]) -> Vec<Read> {
    let mut samples = Vec::new();
    let mut all = Fields(request);
    while let Some((1, Field::Bytes(series))) = all.next() {
        let (mut labels, mut series) = (Vec::new(), Fields(series));
        while let Some((number, Field::Bytes(bytes))) = series.next() {
            if number == 1 {
                labels.push(read_label(bytes));
                continue;
            }
            let mut sample = Fields(bytes);
            let Some((1, Field::Fixed(value))) = sample.next() else { panic!("no value") };
            let Some((2, Field::Varint(millis))) = sample.next() else { panic!("no time") };
            assert!(labels.is_sorted(), "labels are in the order of their names: {labels:?}");
            let text: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            samples.push((text.join(","), f64::from_bits(value), millis as i64));
        }
    }
    assert!(all.0.is_empty());
    samples
}

fn sample(host: &str, shape: &Arc<Shape>, secs: i64, late: bool, values: &[f64]) -> Recorded {
    let (host, shape, at) = (host.into(), shape.clone(), Wall::from_secs(secs));
    Recorded::Sample(Numbers { host, shape, at, late, every: Some(300), values: values.into() })
}

fn drain(batch: &mut Batch, sheet: &mut Sheet, samples_max: usize) -> Vec<(Vec<Read>, i64)> {
    let mut requests = Vec::new();
    batch.drain(sheet, samples_max, &mut |request, oldest| {
        assert_eq!(read(request.as_bytes()).len(), request.samples() as usize);
        requests.push((read(request.as_bytes()), oldest.as_secs()));
    });
    requests
}

#[test]
fn samples_have_their_labels_and_times() {
    let labels = [("site", "basel"), ("Zone", "x"), ("host", "evil"), ("a", "\"\n")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut sheet = Sheet::new(Labels::new(labels));
    let shape = Arc::new(Shape::new("disk_monitor", &["partitions./.percent", "a.b", "a.b"]));
    let mut batch = Batch::default();
    batch.push(sample("web1", &shape, 100, false, &[93.5, 1.0, 2.0]));
    batch.push(Recorded::RoundTrip(RoundTrip {
        host: "web1".into(),
        family: Family::V6,
        at: Wall::from_micros(101_000_999),
        ms: 12.3456,
        every: 30.0,
    }));
    batch.push(Recorded::Gone { host: "web2".into() });
    assert_eq!(batch.len(), 4);
    let requests = drain(&mut batch, &mut sheet, 100);
    let want = [
        (
            "Zone=x,__name__=heartbeat_metric,a=\"\n,host=web1,metric=/.percent,plugin=disk_monitor,site=basel",
            93.5,
            100_000,
        ),
        (
            "Zone=x,__name__=heartbeat_metric,a=\"\n,host=web1,metric=a.b,plugin=disk_monitor,site=basel",
            1.0,
            100_000,
        ),
        (
            "Zone=x,__name__=heartbeat_host_rtt_seconds,a=\"\n,family=ipv6,host=web1,site=basel",
            0.012346,
            101_000,
        ),
    ];
    let want: Vec<Read> = want.iter().map(|(l, v, t)| ((*l).to_owned(), *v, *t)).collect();
    assert_eq!(requests, [(want, 100)]);
    assert!(batch.is_empty() && drain(&mut batch, &mut sheet, 100).is_empty());
}

#[test]
fn s2_hostile_text_stays_in_its_label() {
    for words in hostile() {
        let mut sheet = Sheet::new(Labels::new([("site".to_owned(), words.clone())]));
        let shape = Arc::new(Shape::new("own", &[&*words]));
        let mut batch = Batch::default();
        batch.push(sample(&words, &shape, 100, false, &[1.0]));
        let [(samples, _)] = &drain(&mut batch, &mut sheet, 10)[..] else { panic!("{words:?}") };
        let [(labels, value, _)] = &samples[..] else { panic!("{words:?}") };
        let want = format!(
            "__name__=heartbeat_metric,host={words},metric={words},plugin=own,site={words}"
        );
        assert_eq!((labels, *value), (&want, 1.0), "{words:?}");
    }
}

#[test]
fn late_samples_come_first_in_requests_of_their_own_and_in_order() {
    let shape = Arc::new(Shape::new("cpu_monitor", &["cpu_percent"]));
    let mut sheet = Sheet::default();
    let mut batch = Batch::default();
    batch.push(sample("web1", &shape, 1000, false, &[1.0]));
    for secs in [700, 100, 400] {
        batch.push(sample("web1", &shape, secs, true, &[0.0]));
    }
    batch.push(sample("web2", &shape, 990, false, &[2.0]));
    let requests = drain(&mut batch, &mut sheet, 100);
    let times: Vec<Vec<i64>> =
        requests.iter().map(|(r, _)| r.iter().map(|(_, _, at)| at / 1000).collect()).collect();
    assert_eq!(times, [vec![100, 400, 700], vec![990, 1000]]);
    assert_eq!(requests.iter().map(|(_, oldest)| *oldest).collect::<Vec<_>>(), [100, 990]);
}

#[test]
fn requests_are_bounded_and_no_sample_is_lost_between_them() {
    let shape = Arc::new(Shape::new("cpu_monitor", &["a", "b", "c"]));
    let mut sheet = Sheet::default();
    let mut batch = Batch::default();
    for secs in 0..10 {
        batch.push(sample("web1", &shape, secs, false, &[1.0, 2.0, 3.0]));
    }
    let requests = drain(&mut batch, &mut sheet, 7);
    assert_eq!(requests.iter().map(|(r, _)| r.len()).collect::<Vec<_>>(), [6, 6, 6, 6, 6]);
    // One message with more numbers than a request should have still goes as one.
    batch.push(sample("web1", &shape, 0, false, &[1.0, 2.0, 3.0]));
    assert_eq!(drain(&mut batch, &mut sheet, 1)[0].0.len(), 3);
}

#[test]
fn sheets_are_bounded() {
    let mut sheet = Sheet::default();
    for i in 0..SHEETS_MAX + 10 {
        let shape = Arc::new(Shape::new("p", &[&format!("m{i}")]));
        let mut batch = Batch::default();
        batch.push(sample("web1", &shape, 1, false, &[1.0]));
        assert!(drain(&mut batch, &mut sheet, 10)[0].0[0].0.contains(&format!("metric=m{i},")));
    }
    assert!(sheet.leaves.len() <= SHEETS_MAX);
}
