//! Replays the fuzzing corpora of what reaches the server by its doors on the ordinary toolchain, each file also
//! damaged.

#[path = "../fuzz/oracle/config_yaml.rs"]
mod config_yaml;
#[path = "../fuzz/oracle/cookie.rs"]
mod cookie;
#[path = "corpus/replay.rs"]
mod replay;
#[path = "../fuzz/oracle/ws_client_msg.rs"]
mod ws_client_msg;

use replay::Replay;

#[test]
fn h2_corpus_of_live_messages_holds_every_property() {
    let oracle = ws_client_msg::Oracle::default();
    Replay::at(60).each("ws_client_msg", 20, |bytes| oracle.check(bytes));
}

#[test]
fn h4_corpus_of_cookies_holds_every_property() {
    let mut oracle = cookie::Oracle::default();
    Replay::at(200).each("cookie", 20, |bytes| oracle.check(bytes));
}

#[test]
fn s15_corpus_of_configurations_holds_every_property() {
    Replay::at(12).each("config_yaml", 20, config_yaml::check);
}
