//! Versions of agents beside that of this server.

/// Whether `own` is older than `newest`: numbers with dots between, the rest does not count.
pub fn is_behind(own: &str, newest: &str) -> bool {
    let parts = |text: &str| -> Option<Vec<u64>> {
        let plain = text.split(['-', '+', ' ']).next().unwrap_or_default();
        plain.split('.').map(|part| part.parse().ok()).collect()
    };
    matches!((parts(own), parts(newest)), (Some(own), Some(newest)) if own < newest)
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
