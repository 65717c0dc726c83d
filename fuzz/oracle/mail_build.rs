//! What must hold of a mail, whatever is told: its headers are those it always has, it is ASCII in lines of at most
//! 998 bytes, and on the wire it ends once (THREATS S2).

use heartbeat::notice::channel::mail::{Address, HEADERS, Head, LINE_MAX, build, stuff};
use heartbeat::time::Wall;

/// The first line is the subject, the second the display name, the third an address to try, the rest the text.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split('\n');
    let subject = parts.next().unwrap_or_default();
    let name = parts.next().unwrap_or_default();
    let tried = parts.next().unwrap_or_default();
    let lines: Vec<String> = parts.map(str::to_owned).collect();
    let from = Address::parse(tried).unwrap_or(Address {
        name: Some(heartbeat::text::escape_control(name).into_owned()),
        mailbox: "hb@example.net".to_owned(),
    });
    let to = Address { name: None, mailbox: "ops@example.net".to_owned() };
    let at = Wall::from_secs(1_800_000_000);
    let head =
        Head { from: &from, to: &to, subject, at, id: "0123@example.net", level: "critical" };
    check_mail(&build(&head, &lines));
    let whole = [text.to_string()];
    check_mail(&build(&Head { subject: &whole[0], ..head }, &whole));
    ends_once(&stuff(bytes));
}

fn check_mail(bytes: &[u8]) {
    let mail = std::str::from_utf8(bytes).expect("a mail is ASCII");
    assert!(mail.is_ascii());
    let (head, _) = mail.split_once("\r\n\r\n").expect("a head ends");
    let names: Vec<&str> = head
        .split("\r\n")
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split(':').next())
        .collect();
    assert_eq!(names, HEADERS);
    for line in mail.split("\r\n") {
        assert!(line.len() <= LINE_MAX && !line.contains(['\r', '\n']), "{line:?}");
    }
    ends_once(&stuff(bytes));
}

fn ends_once(wire: &[u8]) {
    let begins = usize::from(wire.starts_with(b".\r\n"));
    let ends = wire.windows(5).filter(|window| window == b"\r\n.\r\n").count();
    assert_eq!(begins + ends, 1);
    assert!(wire.ends_with(b".\r\n"));
    let lone = wire.iter().enumerate().any(|(i, byte)| match byte {
        b'\n' => i == 0 || wire[i - 1] != b'\r',
        b'\r' => wire.get(i + 1) != Some(&b'\n'),
        _ => false,
    });
    assert!(!lone);
}
