//! The repository polices itself: layers, sizes, headers, links. A rule that is not here is a wish.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[allow(clippy::disallowed_methods)] // The repository's own files, in a test.
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Files below `dir` whose names end in one of `endings`.
fn files(dir: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![root().join(dir)];
    while let Some(dir) = todo.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries {
            let path = entry.expect("a directory that can be listed").path();
            if path.is_dir() {
                todo.push(path);
            } else if endings.iter().any(|e| path.to_string_lossy().ends_with(e)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn fail(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

fn rust_files() -> Vec<PathBuf> {
    ["src", "agent-mini/src", "tests", "benches", "fuzz/fuzz_targets"]
        .iter()
        .flat_map(|dir| files(dir, &[".rs"]))
        .collect()
}

/// The layer of each module of the library (docs/ARCHITECTURE.md); a module uses lower layers and its own.
fn layer(module: &str) -> Option<u8> {
    Some(match module {
        "time" | "text" | "glob" | "prng" | "ring" | "limits" => 0,
        "wire" | "config" | "yaml" => 1,
        "collect" | "account" | "alert" | "calm" | "notice" | "pair" => 2,
        "agent" | "engine" => 3,
        "web" | "journal" | "history" | "remote" => 4,
        "os" => 5,
        _ => return None,
    })
}

#[test]
fn modules_use_their_own_layer_and_lower_ones_only() {
    let mut problems = Vec::new();
    for file in files("src", &[".rs"]) {
        let name = shown(&file);
        if name.starts_with("src/bin/") || name == "src/lib.rs" || name.contains("/tests/") {
            continue;
        }
        let module = name.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default();
        let Some(own) = layer(module) else {
            problems.push(format!("{name}: module {module} has no layer"));
            continue;
        };
        for (number, line) in read(&file).lines().enumerate() {
            for part in line.split("crate::").skip(1) {
                let used: String =
                    part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let Some(other) = layer(&used) else { continue };
                let sideways = (module == "agent" && used == "engine")
                    || (module == "engine" && used == "agent");
                // The collectors read files and ask the kernel through `os`; nothing else below it does.
                let reads = module == "collect" && used == "os";
                if (other > own && !reads) || sideways {
                    problems.push(format!("{name}:{}: {module} uses {used}", number + 1));
                }
            }
        }
    }
    fail(problems);
}

#[test]
fn cargo_features_are_named_in_lib_rs_alone() {
    let mut problems = Vec::new();
    for file in rust_files() {
        let name = shown(&file);
        let named = read(&file)
            .lines()
            .any(|l| l.trim_start().starts_with("#[cfg(") && l.contains("feature ="));
        if named && name != "src/lib.rs" && name != "tests/tidy.rs" {
            problems.push(format!("{name}: has a cfg(feature)"));
        }
    }
    fail(problems);
}

#[test]
fn io_crates_are_used_in_the_programs_alone() {
    let crates =
        ["mio::", "tiny_http::", "tungstenite::", "redb::", "crossbeam_channel::", "signal_hook::"];
    let mut problems = Vec::new();
    for file in files("src", &[".rs"]) {
        let name = shown(&file);
        if name.starts_with("src/bin/") {
            continue;
        }
        for (number, line) in read(&file).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if crates.iter().any(|c| code.contains(c)) {
                problems.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    fail(problems);
}

#[test]
fn files_functions_and_lines_have_bounds() {
    let mut problems = Vec::new();
    for file in rust_files() {
        let (name, text) = (shown(&file), read(&file));
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() > 800 {
            problems.push(format!("{name}: {} lines, at most 800", lines.len()));
        }
        let in_tests = name.starts_with("tests/")
            || ["/tests/", "/tests.rs", "_test.rs", "/fixture"]
                .iter()
                .any(|part| name.contains(part));
        let mut open: Option<(usize, usize)> = None;
        let mut test_module = in_tests;
        for (i, line) in lines.iter().enumerate() {
            if line.chars().count() > 120 && !line.contains("http") && !test_module {
                problems.push(format!("{name}:{}: longer than 120 characters", i + 1));
            }
            test_module |= line.starts_with("#[cfg(test)]");
            let indent = line.len() - line.trim_start().len();
            let code = line.trim_start();
            if open.is_none() && is_function(code) && (line.ends_with('{') || !code.contains('}')) {
                open = Some((i, indent));
            }
            if let Some((start, depth)) = open
                && indent == depth
                && (code == "}" || code.ends_with(';'))
                && i > start
            {
                if i - start > 70 && !test_module {
                    problems.push(format!(
                        "{name}:{}: a function of {} lines",
                        start + 1,
                        i - start
                    ));
                }
                open = None;
            }
        }
    }
    fail(problems);
}

fn is_function(code: &str) -> bool {
    let code = code
        .trim_start_matches("pub(super) ")
        .trim_start_matches("pub(crate) ")
        .trim_start_matches("pub ")
        .trim_start_matches("const ")
        .trim_start_matches("unsafe ");
    code.starts_with("fn ")
}

#[test]
fn every_file_says_first_what_it_owns() {
    let without = rust_files().into_iter().filter(|file| {
        let text = read(file);
        let first = text.lines().find(|l| !l.starts_with("#!["));
        !first.is_some_and(|l| l.starts_with("//!"))
    });
    fail(without.map(|file| format!("{}: does not begin with //!", shown(&file))).collect());
}

#[test]
fn nothing_is_left_half_done() {
    let marks = ["TO\u{44}O", "FIX\u{4d}E", "XX\u{58}", "to\u{64}o!(", "unimple\u{6d}ented!("];
    let mut problems = Vec::new();
    for file in rust_files() {
        for (number, line) in read(&file).lines().enumerate() {
            if marks.iter().any(|m| line.contains(m)) {
                problems.push(format!("{}:{}: {}", shown(&file), number + 1, line.trim()));
            }
        }
    }
    fail(problems);
}

#[test]
fn module_names_say_what_they_hold() {
    let vague =
        ["utils.rs", "util.rs", "helper.rs", "helpers.rs", "manager.rs", "common.rs", "misc.rs"];
    let named = rust_files()
        .into_iter()
        .filter(|f| f.file_name().and_then(|n| n.to_str()).is_some_and(|n| vague.contains(&n)));
    fail(named.map(|f| shown(&f)).collect());
}

/// Server code starts no shell (THREATS S4).
#[test]
fn s4_no_shell_is_started_anywhere() {
    let shell = [
        "Command::new(\"s\u{68}\")",
        "Command::new(\"/bin/s\u{68}\")",
        "Command::new(\"bas\u{68}\")",
    ];
    let mut problems = Vec::new();
    for file in files("src", &[".rs"]).into_iter().chain(files("agent-mini/src", &[".rs"])) {
        let text = read(&file);
        problems.extend(
            shell.iter().filter(|s| text.contains(**s)).map(|s| format!("{}: {s}", shown(&file))),
        );
    }
    fail(problems);
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut documents = files("docs", &[".md"]);
    for name in
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "agent-mini/README.md", "fuzz/README.md"]
    {
        documents.push(root().join(name));
    }
    let mut problems = Vec::new();
    for document in documents {
        let text = read(&document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            let outside =
                target.contains("://") || target.starts_with("mailto:") || target.is_empty();
            let file = document.parent().unwrap_or(root()).join(target);
            if !outside && !file.exists() {
                problems.push(format!("{}: {link}", shown(&document)));
            }
        }
    }
    fail(problems);
}

#[test]
fn every_document_opens_with_what_it_is_for() {
    let mut problems = Vec::new();
    for document in files("docs", &[".md"]) {
        let text = read(&document);
        let mut lines = text.lines().filter(|l| !l.trim().is_empty());
        let title = lines.next().is_some_and(|l| l.starts_with("# "));
        let purpose = lines.next().is_some_and(|l| !l.starts_with(['#', '|', '-', '`']));
        if !title || !purpose {
            problems.push(format!("{}: needs a title and a first paragraph", shown(&document)));
        }
    }
    fail(problems);
}

/// Every refusal that decoding can give has a seed in the corpus.
#[test]
fn every_decoding_refusal_has_a_corpus_seed() {
    // Those of sealed datagrams need a key, and others are the engine's: scenarios and unit tests hold them.
    let by_engine = [
        "bad_seal",
        "replayed",
        "sealed_only",
        "unknown_host",
        "hosts_full",
        "new_host_rate",
        "host_rate",
        "address_rate",
        "address_not_allowed",
        "plain_for_keyed",
        "plugins_full",
        "metrics_full",
    ];
    let seeds: Vec<String> = files("fuzz/corpus/datagram", &[""])
        .iter()
        .filter_map(|p| p.file_name().map(|n| n.to_string_lossy().into_owned()))
        .collect();
    let missing = heartbeat::wire::Reject::ALL
        .iter()
        .map(|r| r.code())
        .filter(|code| !by_engine.contains(code))
        .filter(|code| !seeds.iter().any(|s| s.starts_with(&format!("{code}-"))));
    fail(missing.map(|code| format!("no corpus seed for {code}")).collect());
}

/// No two reasons share a name: they are counted by it.
#[test]
fn refusal_codes_are_unique() {
    let mut seen = BTreeMap::new();
    for reject in heartbeat::wire::Reject::ALL {
        assert_eq!(seen.insert(reject.code(), reject), None);
    }
}
