//! The named seeds of `corpus/datagram`: what agents send, what attackers would, and one datagram
//! for every reason to refuse one. A name begins with what the decoder must say: `ok-` or the code
//! of a reject.

use heartbeat::limits;
use miniz_oxide::deflate::compress_to_vec_zlib;

/// A file name and its bytes.
pub type Seed = (String, Vec<u8>);

/// All named seeds.
pub fn seeds() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = Vec::new();
    let texts = [HEARTBEATS, MESSAGES, LENIENT, REFUSED].concat();
    seeds.extend(texts.iter().map(|(name, text)| (name.to_string(), text.as_bytes().into())));
    for (plugin, data) in SAMPLES {
        let json = sample(plugin, data);
        seeds.push((format!("ok-plg_{plugin}"), json.clone().into()));
        for level in 0..=9 {
            let packed = compress_to_vec_zlib(json.as_bytes(), level);
            seeds.push((format!("ok-plg_{plugin}_zlib{level}"), packed));
        }
    }
    seeds.extend(bytes());
    seeds.extend(bombs());
    seeds.extend(at_limits());
    let hostile = hostile_names().into_iter().step_by(10).enumerate();
    seeds.extend(hostile.map(|(i, name)| (format!("bad_name-{i:02}"), heartbeat_of(&name))));
    seeds
}

/// A heartbeat of a host of that name.
pub fn heartbeat_of(name: &str) -> Vec<u8> {
    let mut json = String::from(r#"{"ID":"HTB","name":"#);
    heartbeat::wire::push_string(&mut json, name);
    json.push_str(r#","interval":30}"#);
    json.into_bytes()
}

/// Names that must never become a host's: each would harm some place where a name is shown or used.
pub fn hostile_names() -> Vec<String> {
    let harmful = [
        "\n",
        "\r\n",
        "\0",
        "\t",
        " ",
        "\u{7f}",
        "\u{1b}[31m",
        "\u{202e}",
        "\u{2028}",
        "\u{feff}",
        "/",
        "\\",
        "../",
        "..",
        "'",
        "\"",
        "`",
        "$(id)",
        ";",
        "&",
        "|",
        "<",
        ">",
        "%0a",
        "%s",
        "{}",
        "{{7*7}}",
        "#",
        "?",
        "*",
        "~",
        "!",
        "@",
        ":",
        ",",
        "=",
        "+",
        "(",
        "[",
        "é",
        "\u{1F600}",
        "\u{0430}",
        "<script>alert(1)</script>",
        "\r\nBcc: a@b.c",
        "\nsend\nupdate delete x.",
        "'; DROP TABLE h;--",
        "\u{85}",
        "\u{ad}",
        "\u{200b}",
        "\u{fffd}",
    ];
    let mut names: Vec<String> = Vec::new();
    for text in harmful {
        names.extend([
            format!("web{text}1"),
            format!("{text}web"),
            format!("web{text}"),
            text.into(),
        ]);
    }
    // Alone or at the end these are names; in front they are not.
    names.extend([".web", "-web", "_web", "web..1", ""].map(String::from));
    names.push("a".repeat(limits::LABEL_MAX + 1));
    names.push("ab.".repeat(limits::NAME_MAX / 3 + 1));
    names
}

fn sample(plugin: &str, data: &str) -> String {
    let every = if plugin.ends_with("_info") { r#""info":true"# } else { r#""every":300"# };
    format!(r#"{{"ID":"PLG","name":"web-01","seq":42,"plugin":"{plugin}",{every},"data":{data}}}"#)
}

fn bytes() -> Vec<Seed> {
    let json = br#"{"ID":"HTB","name":"web1","interval":30}"#;
    let packed = compress_to_vec_zlib(json, 6);
    let mut trailing = packed.clone();
    trailing.push(b'\n');
    let mut checksum = packed.clone();
    *checksum.last_mut().expect("not empty") ^= 0x55;
    let mut seeds: Vec<(&str, Vec<u8>)> = vec![
        ("empty-nothing", vec![]),
        ("too_long-spaces", vec![b' '; limits::UDP_IN_MAX + 1]),
        ("bad_magic-text", b"HTB web1 30".into()),
        ("bad_magic-array", b"[{}]".into()),
        ("bad_magic-bom", b"\xef\xbb\xbf{\"ID\":\"HTB\"}".into()),
        ("bad_magic-gzip", b"\x1f\x8b\x08\x00\x00\x00".into()),
        ("bad_magic-f1_alone", b"\xf1".into()),
        ("sealed-hello", [&[0xf1, 0x48, 1][..], &[0; 49]].concat()),
        ("bad_zlib-header_only", b"\x78\x9c".into()),
        ("bad_zlib-preset_dictionary", b"\x78\xbb\x00\x00\x00\x01\x03\x00\x00\x00\x00\x01".into()),
        ("bad_zlib-truncated", packed[..packed.len() / 2].into()),
        ("bad_zlib-trailing", trailing),
        ("bad_zlib-checksum", checksum),
        ("bad_utf8-latin1", b"{\"ID\":\"HTB\",\"name\":\"caf\xe9\"}".into()),
        ("bad_utf8-overlong", b"{\"ID\":\"HTB\",\"name\":\"\xc0\xaf\"}".into()),
        ("bad_json-nested_zlib", compress_to_vec_zlib(b"x-not-json", 6)),
        ("bad_json-truncated", json[..20].into()),
        ("bad_json-nothing_inside", compress_to_vec_zlib(b"", 6)),
    ];
    seeds.push(("ok-htb_zlib", packed));
    seeds.into_iter().map(|(name, bytes)| (name.into(), bytes)).collect()
}

fn bombs() -> Vec<Seed> {
    let zeros = vec![b'0'; 60 << 20];
    let bomb = compress_to_vec_zlib(&zeros, 9);
    let inner = compress_to_vec_zlib(&bomb, 9);
    vec![
        ("too_big-bomb".into(), bomb.clone()),
        ("bad_zlib-bomb_truncated".into(), bomb[..90].into()),
        ("bad_utf8-bomb_nested".into(), inner),
        ("too_big-just".into(), compress_to_vec_zlib(&vec![b' '; limits::INFLATE_MAX + 1], 9)),
        ("too_deep-objects".into(), deep(20_000, r#"{"a":"#, "}")),
        ("too_deep-lists".into(), deep(60_000, "[", "]")),
        ("too_many_nodes-objects".into(), wide(r#"{"a":0}"#, 16_000)),
        ("too_many_nodes-zeros".into(), wide("0", 60_000)),
        ("too_many_leaves-zeros".into(), wide_data("0", limits::LEAVES_PER_MSG + 1)),
    ]
}

fn deep(levels: usize, open: &str, close: &str) -> Vec<u8> {
    let json = format!(
        r#"{{"ID":"HTB","name":"a","x":{}1{}}}"#,
        open.repeat(levels),
        close.repeat(levels)
    );
    compress_to_vec_zlib(json.as_bytes(), 9)
}

fn wide(item: &str, count: usize) -> Vec<u8> {
    let items = vec![item; count].join(",");
    compress_to_vec_zlib(format!(r#"{{"ID":"HTB","name":"a","x":[{items}]}}"#).as_bytes(), 9)
}

fn wide_data(item: &str, count: usize) -> Vec<u8> {
    let items = vec![item; count].join(",");
    let json = sample("wide", &format!(r#"{{"l":[{items}]}}"#));
    compress_to_vec_zlib(json.as_bytes(), 9)
}

/// 4000 values, each behind as many of the longest keys as there are levels.
fn long_paths(levels: usize) -> Vec<u8> {
    let open = format!(r#"{{"{}":"#, "k".repeat(limits::KEY_MAX)).repeat(levels);
    let items = vec!["0"; 4000].join(",");
    let json = sample("s", &format!("{open}[{items}]{}", "}".repeat(levels)));
    compress_to_vec_zlib(json.as_bytes(), 9)
}

fn at_limits() -> Vec<Seed> {
    let long = "é\n".repeat(limits::STR_MAX);
    let key = "k".repeat(limits::KEY_MAX);
    let deep = limits::JSON_DEPTH - 1;
    let texts = [
        ("ok-plg_string_cut", sample("s", &format!(r#"{{"a":"{}"}}"#, long.replace('\n', "\\n")))),
        ("ok-plg_longest_key", sample("s", &format!(r#"{{"{key}":1}}"#))),
        ("key_too_long-data", sample("s", &format!(r#"{{"{key}k":1}}"#))),
        ("key_too_long-top", format!(r#"{{"ID":"HTB","name":"a","{key}k":1}}"#)),
        (
            "ok-plg_deepest",
            sample("s", &format!("{}1{}", r#"{"a":"#.repeat(deep), "}".repeat(deep))),
        ),
        ("ok-msg_cut", format!(r#"{{"ID":"MSG","name":"a","text":"{}"}}"#, "ü".repeat(600))),
    ];
    let mut seeds: Vec<Seed> = texts.map(|(name, text)| (name.into(), text.into())).into();
    seeds.push(("ok-plg_most_leaves".into(), wide_data("0", limits::LEAVES_PER_MSG)));
    seeds.push(("ok-plg_most_nan".into(), wide_data("NaN", limits::LEAVES_PER_MSG)));
    seeds.push(("ok-plg_long_paths".into(), long_paths(2)));
    seeds.push(("too_many_leaves-long_paths".into(), long_paths(12)));
    seeds
}

const HEARTBEATS: &[(&str, &str)] = &[
    ("ok-htb_readme", r#"{"ID":"HTB","name":"webserver1","interval":30}"#),
    ("ok-htb_python", r#"{"ID": "HTB", "name": "webserver01", "interval": 30}"#),
    (
        "ok-htb_full",
        r#"{"ID":"HTB","name":"web-01","seq":1234,"interval":30,"rtt":0.734,"try":2,"up":864000,"v":"0.1.0"}"#,
    ),
    ("ok-htb_time", r#"{"ID":"HTB","name":"db-01","seq":5,"time":1711234567.123,"interval":10}"#),
    ("ok-htb_database01", r#"{"ID":"HTB","name":"database01","interval":30.0,"rtt":45.2}"#),
    ("ok-htb_fqdn", r#"{"ID":"HTB","name":"Router.Example.COM","interval":60}"#),
];

const MESSAGES: &[(&str, &str)] = &[
    ("ok-msg_boot", r#"{"ID":"MSG","name":"web-01","kind":"boot","mid":1}"#),
    (
        "ok-msg_shutdown",
        r#"{"ID":"MSG","name":"web-01","seq":9,"kind":"shutdown","text":"","mid":2}"#,
    ),
    (
        "ok-msg_readme",
        r#"{"ID":"MSG","name":"web-01","kind":"text","text":"maintenance starting","mid":3}"#,
    ),
    ("ok-msg_bare", r#"{"ID":"MSG","name":"web-01","text":"caf\u00e9 \"quoted\" \ud83d\ude00"}"#),
];

const LENIENT: &[(&str, &str)] = &[
    (
        "ok-htb_interval_text",
        r#"{"ID":"HTB","name":"a","interval":"30","rtt":"1.5","try":"1","up":"77.5"}"#,
    ),
    ("ok-htb_nan", r#"{"ID": "HTB", "name": "a", "interval": 30, "rtt": NaN}"#),
    (
        "ok-plg_nan",
        r#"{"ID": "PLG", "name": "a", "plugin": "cpu_monitor", "data": {"a": NaN, "b": [Infinity, -Infinity], "NaN": "NaN"}}"#,
    ),
    (
        "ok-htb_plugins",
        r#"{"ID":"HTB","name":"a","interval":30,"plugins":{"cpu_monitor":{"cpu_percent":12.5},"memory_monitor":{"percent":63}}}"#,
    ),
    (
        "ok-htb_plugin_data",
        r#"{"ID":"HTB","name":"a","plugin":"cpu_monitor","data":{"cpu_percent":12.5}}"#,
    ),
    ("ok-htb_plugin_list", r#"{"ID":"HTB","name":"a","plugins":["cpu_monitor"]}"#),
    (
        "ok-htb_unknown_fields",
        r#"{"ID":"HTB","name":"a","msg":"x","acks":[1,2,{"y":null}],"ver":5}"#,
    ),
    ("ok-htb_spaces", " \r\n\t{ \"ID\" : \"HTB\" , \"name\" : \"a\" } \n"),
    (
        "ok-plg_part",
        r#"{"ID":"PLG","name":"a","plugin":"disk_monitor","part":[2,3],"age":60000,"data":{"partitions":{"/":{"percent":81}}}}"#,
    ),
    ("ok-plg_empty", r#"{"ID":"PLG","name":"a","plugin":"x","data":{}}"#),
    (
        "ok-plg_numbers",
        r#"{"ID":"PLG","name":"a","plugin":"x","data":{"a":-0,"b":1e-7,"c":9007199254740993,"d":1e308,"e":-5,"f":123456789012345678901234567890,"g":0.1}}"#,
    ),
    (
        "ok-plg_same_key_inside",
        r#"{"ID":"PLG","name":"a","plugin":"x","data":{"a":{"b":1},"a":{"c":2},"d":1,"d":2}}"#,
    ),
];

const REFUSED: &[(&str, &str)] = &[
    ("bad_json-two_objects", r#"{"ID":"HTB","name":"a"}{}"#),
    ("bad_json-1e400", r#"{"ID":"HTB","name":"a","rtt":1e400}"#),
    ("bad_json-1e400_in_data", r#"{"ID":"PLG","name":"a","plugin":"x","data":{"a":[1e400]}}"#),
    ("bad_json-comma", r#"{"ID":"HTB","name":"a",}"#),
    ("bad_json-lone_surrogate", r#"{"ID":"HTB","name":"a\ud800"}"#),
    ("bad_json-nan_key", r#"{"ID":"HTB",NaN:1}"#),
    ("duplicate_key-name", r#"{"ID":"HTB","name":"a","name":"b"}"#),
    ("duplicate_key-unknown", r#"{"ID":"HTB","name":"a","x":1,"x":2}"#),
    ("missing_id-none", r#"{"name":"a","interval":30}"#),
    ("unknown_id-lower_case", r#"{"ID":"htb","name":"a"}"#),
    ("unknown_id-number", r#"{"ID":1,"name":"a"}"#),
    ("not_for_server-ack", r#"{"ID":"ACK","ack":7}"#),
    ("not_for_server-cmd", r#"{"ID":"CMD","cid":1,"cmd":"reboot"}"#),
    ("not_for_server-upd", r#"{"ID":"UPD","cid":1}"#),
    ("sealed_only-res", r#"{"ID":"RES","name":"a","cid":1,"st":"done","rc":0}"#),
    ("sealed_only-maintenance", r#"{"ID":"MSG","name":"a","kind":"maintenance","s":3600}"#),
    ("missing_name-none", r#"{"ID":"HTB","interval":30}"#),
    ("missing_name-null", r#"{"ID":"HTB","name":null}"#),
    ("bad_name-number", r#"{"ID":"HTB","name":12}"#),
    ("bad_field-interval", r#"{"ID":"HTB","name":"a","interval":0}"#),
    ("bad_field-interval_words", r#"{"ID":"HTB","name":"a","interval":"soon"}"#),
    ("bad_field-seq", r#"{"ID":"HTB","name":"a","seq":9007199254740992}"#),
    ("bad_field-try", r#"{"ID":"HTB","name":"a","try":10}"#),
    ("bad_field-up", r#"{"ID":"HTB","name":"a","up":-1}"#),
    ("bad_field-plugin", r#"{"ID":"PLG","name":"a","plugin":"../etc","data":{}}"#),
    ("bad_field-data", r#"{"ID":"PLG","name":"a","plugin":"x","data":[]}"#),
    ("bad_field-part", r#"{"ID":"PLG","name":"a","plugin":"x","data":{},"part":[3,2]}"#),
    ("bad_field-kind", r#"{"ID":"MSG","name":"a","kind":"party","text":"x"}"#),
    ("bad_field-mid", r#"{"ID":"MSG","name":"a","text":"x","mid":-1}"#),
];

/// A typical sample of each plugin.
pub const SAMPLES: &[(&str, &str)] = &[
    (
        "os_info",
        r#"{"system":"Linux","distribution":"Debian GNU/Linux","distribution_version":"13","kernel":"6.12.9-amd64","architecture":"x86_64","hostname":"web-01","cpu_model":"AMD EPYC 7302P 16-Core Processor","cpu_count":4,"memory_total_mb":7941.2,"boot_time":1711000000,"agent_version":"0.1.0","virtualization":"kvm"}"#,
    ),
    (
        "cpu_monitor",
        r#"{"cpu_percent":12.5,"user_percent":8.1,"system_percent":3.9,"iowait_percent":0.4,"steal_percent":0.1,"load_1min":0.52,"load_5min":0.61,"load_15min":0.58,"process_count":312,"uptime_seconds":864213,"frequency_mhz":2994.4,"per_core":[10.1,14.9,11.0,13.9],"psi_cpu_some_avg10":0.33,"temperature_c":48.5}"#,
    ),
    (
        "memory_monitor",
        r#"{"percent":63.1,"total_mb":7941.2,"available_mb":2930.3,"used_mb":4312.9,"free_mb":812.4,"buffers_mb":210.2,"cached_mb":2605.7,"arc_mb":0,"swap_total_mb":2048,"swap_used_mb":12.5,"swap_percent":0.6}"#,
    ),
    (
        "disk_monitor",
        r#"{"partitions":{"/":{"percent":81.3,"total_gb":39.1,"used_gb":30.1,"free_gb":7.0,"free_mb":7168.4,"inodes_percent":12.9,"fstype":"ext4","device":"/dev/vda1"},"/var/lib/postgresql":{"percent":42.0,"total_gb":98.3,"used_gb":41.2,"free_gb":57.1,"free_mb":58470.1,"inodes_percent":0.4,"fstype":"xfs","device":"/dev/vdb"}},"io":{"vda":{"read_mb_s":0.12,"write_mb_s":1.98,"read_iops":3.2,"write_iops":41.7,"busy_percent":2.2}}}"#,
    ),
    (
        "network_monitor",
        r#"{"interfaces":{"eth0":{"rx_mb_s":0.41,"tx_mb_s":1.07,"rx_bytes":98123456789,"tx_bytes":412345678901,"rx_packets":812345678,"tx_packets":912345678,"errors_total":0,"dropped_total":12,"up":true,"speed_mbit":1000}},"errors_total":0,"dropped_total":12,"tcp_established":87,"tcp_time_wait":14,"udp_sockets":9}"#,
    ),
    (
        "ping_monitor",
        r#"{"hosts":{"8.8.8.8":{"rtt_ms":11.3,"rtt_min_ms":10.9,"rtt_max_ms":12.2,"loss_percent":0,"alive":true},"192.168.1.1":{"rtt_ms":null,"rtt_min_ms":null,"rtt_max_ms":null,"loss_percent":100,"alive":false}}}"#,
    ),
    (
        "filesystem_info",
        r#"{"filesystems":{"/":{"device":"/dev/vda1","fstype":"ext4","options":"rw,relatime,errors=remount-ro","total_gb":39.1},"/boot/efi":{"device":"/dev/vda15","fstype":"vfat","options":"rw,relatime,fmask=0077","total_gb":0.12}}}"#,
    ),
    (
        "nagios_runner",
        r#"{"check_load_status_code":0,"check_load_status":"OK","check_load_output":"OK - load average: 0.52, 0.61, 0.58","check_load_exit_code":0,"check_load_load1":0.52,"check_load_load1_warn":5,"check_load_load1_crit":10,"check_load_load1_min":0,"check_disk_status_code":1,"check_disk_status":"WARNING","check_disk_output":"DISK WARNING - free space: / 7168 MiB (18%);","check_disk_exit_code":1}"#,
    ),
    (
        "zfs_monitor",
        r#"{"pools":{"tank":{"health":"ONLINE","health_code":0,"capacity_percent":71,"fragmentation_percent":23,"dedup_ratio":1.0,"size_gb":7440.0,"free_gb":2157.6,"read_ops":12,"write_ops":214,"read_bytes":1048576,"write_bytes":8912896,"errors_total":0,"scan":"scrub repaired 0B in 05:12:33 with 0 errors"}}}"#,
    ),
    (
        "disk_usage",
        r#"{"disk_usage": {"total": 41943040, "used": 31457280}, "timestamp": 1711234567.123456}"#,
    ),
    ("hanging", r#"{"error":"timed out after 30 s"}"#),
];
