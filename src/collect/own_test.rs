//! Which files are plugins, and what becomes of what they print.

use super::*;
use crate::collect::builtin;

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Dir {
        Dir(tempfile::tempdir().expect("a directory"))
    }

    fn write(&self, name: &str, script: &str, mode: u32) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("set");
        path
    }

    fn config(&self) -> Agent {
        Agent { plugin_dir: Some(self.0.path().to_owned()), ..Agent::default() }
    }
}

fn sample(config: &Agent, name: &str) -> Result<String, String> {
    let mut all = probe(config).into_iter();
    let (_, plugin) = all.find(|(other, _)| other == name).expect("it is there");
    let mut out = String::new();
    plugin?.collect(Now::default(), &mut out).map_err(|error| error.0)?;
    Ok(out)
}

fn with(name: &str, plugin: agent::Plugin) -> Agent {
    Agent { plugins: BTreeMap::from([(name.to_owned(), plugin)]), ..Agent::default() }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

#[test]
fn files_that_may_be_run_are_plugins_named_after_their_stem() {
    let dir = Dir::new();
    for (name, mode) in [
        ("backup.py", 0o755),
        ("raid", 0o700),
        (".hidden", 0o755),
        ("notes.txt", 0o644),
        ("group.sh", 0o775),
        ("world.sh", 0o757),
        ("Upper.sh", 0o755),
        ("two-words.sh", 0o755),
        ("os_info", 0o755),
        ("raid.sh", 0o755),
    ] {
        dir.write(name, "echo '{\"x\": 1}'", mode);
    }
    std::fs::create_dir(dir.0.path().join("folder")).expect("made");
    let names: Vec<String> = probe(&dir.config()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["backup", "raid"]);
    assert_eq!(sample(&dir.config(), "backup").as_deref(), Ok(r#"{"x":1}"#));
    let missing = Agent { plugin_dir: Some(PathBuf::from("/nonexistent")), ..Agent::default() };
    assert!(probe(&missing).is_empty());
}

#[test]
fn configuration_names_a_command_or_changes_a_file() {
    let dir = Dir::new();
    dir.write("raid.sh", "echo '{}'", 0o755);
    let off = agent::Plugin { enabled: Some(false), ..agent::Plugin::default() };
    let info = agent::Plugin {
        info: true,
        command: words(&["sh", "-c", "echo \"{\\\"arguments\\\": $#}\"", "x", "a", "b c"]),
        ..agent::Plugin::default()
    };
    let lost = agent::Plugin::default();
    let plugins = [("raid", off), ("words", info), ("lost", lost)];
    let plugins = plugins.map(|(name, plugin)| (name.to_owned(), plugin)).into();
    let config = Agent { plugins, ..dir.config() };
    assert!(sample(&config, "raid").is_err_and(|why| why.starts_with("switched off")));
    assert!(sample(&config, "lost").is_err_and(|why| why.starts_with("no command")));
    assert_eq!(sample(&config, "words").as_deref(), Ok(r#"{"arguments":2}"#));
    let plugins = builtin(&config, crate::collect::MINI);
    let own: Vec<_> = plugins.iter().filter(|p| p.name() == "words").collect();
    assert_eq!(own.iter().map(|p| p.kind()).collect::<Vec<_>>(), [PluginKind::Info]);
}

#[test]
fn bad_output_names_the_file_and_the_line() {
    let dir = Dir::new();
    let table = [
        ("true", ": printed nothing; one JSON object is expected"),
        ("echo '{'; echo '\"a\": 1,'; echo oops", ": line 3: this is not JSON: "),
        ("echo '[1]'", ": line 1: a list is not a JSON object"),
        ("echo '{}'; echo broken >&2; exit 3", ": exit status 3: broken"),
        ("echo why; exit 1", ": exit status 1: why"),
        ("kill -9 $$", ": killed by signal 9"),
        ("head -c 70000 /dev/zero", ": printed 65536 bytes or more"),
        ("sleep 60", ": timed out after 0.2 s"),
    ];
    for (script, want) in table {
        let path = dir.write("bad.sh", script, 0o755);
        let timeout = Duration::from_millis(if script == "sleep 60" { 200 } else { 20_000 });
        let settings = agent::Plugin { timeout, ..agent::Plugin::default() };
        let plugins = BTreeMap::from([("bad".to_owned(), settings)]);
        let error = sample(&Agent { plugins, ..dir.config() }, "bad").expect_err(script);
        let want = format!("{}{want}", path.display());
        assert!(error.starts_with(&want), "{script}: {error}");
    }
    let settings = agent::Plugin { command: words(&["/nonexistent/x"]), ..Default::default() };
    let error = sample(&with("gone", settings), "gone").expect_err("no such file");
    assert!(error.starts_with("/nonexistent/x: cannot be run: No such file"), "{error}");
}

#[test]
fn no_number_of_python_is_null() {
    let dir = Dir::new();
    dir.write("nan", "echo '{\"a\": NaN, \"b\": 0.1}'", 0o755);
    assert_eq!(sample(&dir.config(), "nan").as_deref(), Ok(r#"{"a":null,"b":0.1}"#));
}
