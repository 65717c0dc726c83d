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

#[test]
fn h2_corpus_of_live_messages_holds_every_property() {
    let oracle = ws_client_msg::Oracle::default();
    replay::each("ws_client_msg", 20, 60, |bytes| oracle.check(bytes));
}

#[test]
fn h4_corpus_of_cookies_holds_every_property() {
    let mut oracle = cookie::Oracle::default();
    replay::each("cookie", 20, 200, |bytes| oracle.check(bytes));
}

#[test]
fn s15_corpus_of_configurations_holds_every_property() {
    replay::each("config_yaml", 20, 12, config_yaml::check);
}
