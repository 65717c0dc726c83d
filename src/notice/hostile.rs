//! What somebody may send as a name or as the output of a check to make a sink obey it: one table for the tests of all
//! sinks. Never part of a program.

/// Of other languages and formats.
const WORDS: [&str; 46] = [
    "\"}, {\"text\": \"",
    "\\",
    "\\\"",
    "\\u0000",
    "</script><script>alert(1)</script>",
    "{{ 7*7 }}",
    "{% raw %}",
    "${jndi:ldap://x/y}",
    "$(reboot)",
    "`reboot`",
    "; reboot #",
    "&& reboot",
    "| mail evil",
    "--help",
    "-m x",
    "@channel",
    "@everyone",
    "@all down",
    "<!channel>",
    "<@U123>",
    "[click](http://evil.example)",
    "![x](http://evil.example/x.png)",
    "<http://evil|good>",
    "=?UTF-8?B?QmNjOiBldmls?=",
    "=?utf-8?q?=0D=0ABcc:?=",
    ".",
    "..",
    ".\u{200b}",
    "From evil@example.com",
    "%0d%0aBcc: x",
    "%s%n%n",
    "../../etc/passwd",
    "\u{feff}bom",
    "e\u{301}\u{301}\u{301}\u{301}",
    "\u{1f469}\u{200d}\u{1f4bb}",
    "\u{0}nul",
    "ünïcödé",
    "日本語のホスト",
    "עברית",
    "\u{fffd}",
    "*bold* _it_ ~s~ `c`",
    "# title",
    "> quote",
    "\ttab",
    "trailing space ",
    "a\u{a0}b",
];

/// At least 200 texts that somebody may send as a name or as the output of a check.
pub fn hostile() -> Vec<String> {
    let mut all: Vec<String> =
        (0u8..=0x1f).chain([0x7f]).map(|b| format!("a{}b", char::from(b))).collect();
    all.extend((0x80u32..=0x9f).filter_map(char::from_u32).map(|c| format!("c1 {c} x")));
    let controls =
        "\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
    all.extend(controls.chars().map(|c| format!("bidi {c}gpj.exe")));
    let breaks = [
        "\r\n",
        "\n",
        "\r",
        "\u{0b}",
        "\u{0c}",
        "\u{85}",
        "\u{2028}",
        "\n\n",
        "\r\n\r\n",
        "\r\n.\r\n",
        "\n.\n",
        "\r.\r",
    ];
    let payloads = [
        "Bcc: evil@example.com",
        "Subject: other",
        ".",
        "DATA",
        "RCPT TO:<evil@example.com>",
        "QUIT",
        "Content-Type: text/html",
        "X-Injected: 1",
        "HTTP/1.1 200 OK",
        "Authorization: Bearer x",
    ];
    for line_end in breaks {
        all.extend(
            payloads.iter().map(|payload| format!("disk full{line_end}{payload}{line_end}")),
        );
    }
    all.extend(WORDS.iter().map(|word| (*word).to_owned()));
    all.extend([78, 997, 998, 999, 2048, 70_000].map(|n| "x".repeat(n)));
    all.extend([76, 998, 5000].map(|n| "é".repeat(n)));
    all.extend([998, 3000].map(|n| " ".repeat(n) + "end"));
    all.push(".".repeat(3000));
    assert!(all.len() >= 200, "{}", all.len());
    all
}
