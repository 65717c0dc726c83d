//! Patterns over names: `*` is any run of characters (of `/` too), `?` is one; no more than that.

/// Whether the whole name matches.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where the last star stood, and how much of the name it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&b) if b == b'?' || b == name[n] => {
                p += 1;
                // `?` takes a whole character: its following bytes in UTF-8 belong to it.
                n += 1;
                while b == b'?' && name.get(n).is_some_and(|next| next & 0xc0 == 0x80) {
                    n += 1;
                }
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                p = star_at + 1;
                n = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

/// Whether any of the patterns matches.
pub fn matches_any(patterns: &[String], name: &[u8]) -> bool {
    patterns.iter().any(|pattern| matches(pattern.as_bytes(), name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn glob_table() {
        let table = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "/a/b", true),
            ("/mnt/*", "/mnt/a/b", true),
            ("/mnt/*", "/mnt", false),
            ("veth*", "veth12ab", true),
            ("eth?", "eth0", true),
            ("eth?", "eth10", false),
            ("eth?", "eth", false),
            ("?", "ü", true),
            ("*a*b", "xaybzab", true),
            ("*a*b", "xaybza", false),
            ("a.c", "abc", false),
            ("[a]", "a", false),
        ];
        for (pattern, name, want) in table {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), want, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_do_not_explode() {
        assert!(!matches("a*".repeat(50).as_bytes(), "a".repeat(49).as_bytes()));
        assert!(!matches(format!("{}b", "*a".repeat(50)).as_bytes(), "a".repeat(4000).as_bytes()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_decided(pattern in any::<Vec<u8>>(), name in any::<Vec<u8>>()) {
            matches(&pattern, &name);
            prop_assert!(matches(b"*", &name));
        }
    }
}
