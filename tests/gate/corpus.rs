//! Replays the fuzzing corpora of what only hbd reads on the ordinary toolchain, each file also damaged.

use super::super::{ask, request};
use crate::agent_dir;

#[path = "../../fuzz/oracle/http_head.rs"]
mod http_head;
#[path = "../corpus/replay.rs"]
mod replay;
#[path = "../../fuzz/oracle/static_path.rs"]
mod static_path;

use replay::Replay;

#[test]
fn h1_corpus_of_requests_holds_every_property() {
    Replay::at(200).each("http_head", 30, http_head::check);
}

#[test]
fn h9_corpus_of_static_paths_holds_every_property() {
    let dir = tempfile::tempdir().expect("a directory");
    let oracle = static_path::Oracle::new(dir.path().to_owned());
    Replay::at(200).each("static_path", 30, |bytes| oracle.check(bytes));
}
