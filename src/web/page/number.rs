//! Numbers as pages show them (ui/UI.md 4.4): three significant digits, a unit, thin spaces between
//! thousands.

use std::cell::Cell;

thread_local! {
    /// The key `units`: bytes in steps of 1000 on the page that this thread makes.
    static IS_SI: Cell<bool> = const { Cell::new(false) };
}

/// How bytes are shown from here on, on this thread; said anew for every request.
pub fn set_units(is_si: bool) {
    IS_SI.set(is_si);
}

pub const MIB: f64 = 1024.0 * 1024.0;
pub const GIB: f64 = 1024.0 * MIB;

/// Between groups of three digits.
const THIN: char = '\u{2009}';

/// `1 212`
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + 4);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(THIN);
        }
        out.push(digit);
    }
    out
}

/// At most three significant digits, thousands apart: `0.834`, `12.4`, `212`, `45 600`.
pub fn short(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let magnitude = value.abs();
    if magnitude >= 999.5 {
        let sign = if value < 0.0 { "−" } else { "" };
        return format!("{sign}{}", count(magnitude.min(u64::MAX as f64).round() as u64));
    }
    let decimals = match magnitude {
        m if m >= 99.95 => 0,
        m if m >= 9.995 => 1,
        m if m >= 0.9995 || m == 0.0 => 2,
        m if m >= 0.01 => 3,
        _ => 5,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    text.replace('-', "−")
}

/// `0.8 ms`, `12 ms`, `1.2 s`
pub fn round_trip(ms: f32) -> String {
    let ms = f64::from(ms);
    match ms {
        m if m >= 999.5 => format!("{:.1} s", m / 1000.0),
        m if m >= 9.95 => format!("{m:.0} ms"),
        m => format!("{m:.1} ms"),
    }
}

/// Bytes in steps of 1024, with the labels that psutil users expect: `38.4 GB`; with `units: si` in steps of 1000.
pub fn bytes(value: f64) -> String {
    let mut value = value;
    let step = if IS_SI.get() { 1000.0 } else { 1024.0 };
    let mut unit = "B";
    for next in ["KB", "MB", "GB", "TB", "PB"] {
        if value.abs() < 999.5 {
            break;
        }
        value /= step;
        unit = next;
    }
    format!("{} {unit}", short(value))
}

/// Bits in steps of 1000: `84 Mbit/s`.
pub fn bits(value: f64) -> String {
    let mut value = value;
    let mut unit = "bit/s";
    for next in ["kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"] {
        if value.abs() < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    format!("{} {unit}", short(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_significant_digits() {
        let table = [
            (0.0, "0"),
            (0.8344, "0.834"),
            (1.0, "1"),
            (12.44, "12.4"),
            (86.0, "86"),
            (212.4, "212"),
            (999.4, "999"),
            (45_612.0, "45\u{2009}612"),
            (0.0004, "0.0004"),
            (-3.25, "−3.25"),
            (f64::NAN, "–"),
        ];
        for (value, want) in table {
            assert_eq!(short(value), want);
        }
    }

    #[test]
    fn units_follow_the_size() {
        assert_eq!(round_trip(0.84), "0.8 ms");
        assert_eq!(round_trip(212.4), "212 ms");
        assert_eq!(round_trip(1234.0), "1.2 s");
        assert_eq!(bytes(512.0), "512 B");
        assert_eq!(bytes(38.4 * 1024.0 * 1024.0 * 1024.0), "38.4 GB");
        assert_eq!(count(1_212), "1\u{2009}212");
    }
}
