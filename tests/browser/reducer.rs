//! The browser's side of the live protocol as a pure function: the recorded runs of the server's own test, replayed
//! in Chromium.

use crate::fleet;
use crate::turn;
use crate::webdriver::Browser;
use heartbeat::os::file;
use serde_json::Value;
use std::path::Path;

#[test]
fn reducer_in_the_browser_agrees_with_every_recorded_run() {
    let Some(_turn) = turn() else { return };
    let server = fleet::small();
    let browser = Browser::start();
    browser.go(&server.url("/events"));
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/live");
    let mut names: Vec<_> = dir.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    names.sort();
    assert!(!names.is_empty());
    for path in names {
        let text = String::from_utf8(file::read_bounded(&path, 8 << 20).unwrap()).unwrap();
        let script =
            format!("{REPLAY}\nreplay({text}).then(done, (e) => done(String(e.stack ?? e)));");
        let wrong = browser.run_async(&script);
        assert_eq!(wrong, Value::String("as recorded".to_owned()), "{}", path.display());
    }
}

/// Steps through a run: the state after each frame is the recorded one, and nothing that was given is changed.
const REPLAY: &str = r#"
const freeze = (value) => {
  if (value && typeof value === 'object') { Object.values(value).forEach(freeze); Object.freeze(value); }
  return value;
};
async function replay(vector) {
  const { initial, reduce } = await import('/static/reduce.js');
  let state = initial();
  for (const [at, step] of vector.steps.entries()) {
    const made = reduce(state, freeze(step.frame));
    state = made.state;
    if (made.step !== step.step) return `step ${at}: ${made.step}, recorded ${step.step}`;
  }
  const rows = Object.fromEntries([...state.rows].map(([id, row]) => [id, row]));
  const sorted = (v) => v && typeof v === 'object' && !Array.isArray(v)
    ? Object.fromEntries(Object.keys(v).sort().map((k) => [k, sorted(v[k])])) : v;
  const is = JSON.stringify(sorted(rows));
  const want = JSON.stringify(sorted(vector.rows));
  return is === want ? 'as recorded' : `rows differ: ${is.slice(0, 300)} and ${want.slice(0, 300)}`;
}
"#;
