//! A stream on a virtual clock: the program is real, its pauses are not waited for.

use super::*;
use crate::os::udp::{self, Sockets, Timer};

fn stream(script: &str) -> Stream {
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    Stream::new("s", argv, Duration::from_secs(20))
}

/// The next result, and the time then.
fn next(stream: &mut Stream, now: &mut Mono) -> Result<String, String> {
    loop {
        let mut out = String::new();
        if let Some(result) = stream.advance(Now { mono: *now, ..Now::default() }, &mut out) {
            return result.map(|()| out).map_err(|error| error.0);
        }
        let mut on = Vec::new();
        let until = stream.watch(&mut on);
        if on.is_empty() {
            *now = until;
        } else {
            udp::wait(&Sockets::default(), &on, &mut Timer::new().expect("a timer"), None);
        }
    }
}

#[test]
fn each_line_is_a_sample_and_a_bad_one_is_named() {
    let mut stream = stream("echo '{\"n\": 1}'; echo; echo oops; echo '{\"n\": NaN}'; sleep 60");
    let mut now = Mono::from_secs(100);
    assert_eq!(next(&mut stream, &mut now).as_deref(), Ok(r#"{"n":1}"#));
    let error = next(&mut stream, &mut now).expect_err("a bad line");
    assert!(error.starts_with("sh: line 3: this is not JSON"), "{error}");
    assert_eq!(next(&mut stream, &mut now).as_deref(), Ok(r#"{"n":null}"#));
    assert!(now >= Mono::from_secs(100) + GAP * 2, "samples have a distance");
    assert!(stream.goes_on() && stream.run.is_some());
}

#[test]
fn stream_that_ends_is_started_again_after_growing_pauses() {
    let mut stream = stream("echo '{}'; printf '{\"last\": 1}'; exit 3");
    let mut now = Mono::from_secs(100);
    for pause in [1, 2, 4] {
        assert_eq!(next(&mut stream, &mut now).as_deref(), Ok("{}"));
        assert_eq!(next(&mut stream, &mut now).as_deref(), Ok(r#"{"last":1}"#));
        let want = format!("sh: ended, exit status 3; started again in {pause} s");
        assert_eq!(next(&mut stream, &mut now).expect_err("it ended"), want);
        assert_eq!(stream.watch(&mut Vec::new()), now + Duration::from_secs(pause));
    }
    stream.started = Mono::ZERO;
    assert!(stream.again(now, "x").ends_with("in 1 s"), "it ran for long");
}

#[test]
fn stream_that_cannot_be_run_is_tried_again() {
    let mut stream = Stream::new("s", vec!["/nonexistent/x".to_owned()], Duration::from_secs(1));
    let mut now = Mono::from_secs(100);
    for pause in [1, 2] {
        let error = next(&mut stream, &mut now).expect_err("no such file");
        assert!(error.ends_with(&format!("started again in {pause} s")), "{error}");
    }
    assert_eq!(now, Mono::from_secs(101));
}

#[test]
fn given_up_stream_starts_anew() {
    let mut stream = stream("echo '{}'; sleep 60");
    let mut out = String::new();
    assert!(stream.collect(Now::default(), &mut out).is_ok());
    assert_eq!((out.as_str(), stream.run.is_none()), ("{}", true));
}
