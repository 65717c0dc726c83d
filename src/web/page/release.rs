//! Versions of agents beside that of this server.

use crate::agent::release::compare;

/// Whether `own` is older than `newest`: numbers with dots between, the rest does not count.
pub fn is_behind(own: &str, newest: &str) -> bool {
    let plain = |text: &str| text.split(['-', '+', ' ']).next().unwrap_or_default().to_owned();
    compare(&plain(own), &plain(newest)).is_lt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let table = [
            ("0.9.0", "0.10.0", true),
            ("0.10.0", "0.9.0", false),
            ("0.1.0", "0.1.0", false),
            ("0.1.0-rc1", "0.1.0", false),
            ("0.1", "0.1.1", true),
            ("unknown", "0.1.1", false),
        ];
        for (own, newest, want) in table {
            assert_eq!(is_behind(own, newest), want, "{own} {newest}");
        }
    }
}
