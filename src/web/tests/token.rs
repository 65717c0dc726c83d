//! The colours of the sheet: contrast of text on every surface, distance between the fills of the
//! states, also for readers who see colours differently.

use std::collections::BTreeMap;

const CSS: &str = include_str!("../../../templates/static/hb.css");

type Rgb = [f64; 3];

/// Light and dark of each token, linear.
fn tokens() -> BTreeMap<&'static str, [Rgb; 2]> {
    CSS.lines()
        .filter_map(|line| {
            let (name, pair) = line.trim().strip_prefix("--")?.split_once(": light-dark(")?;
            let (light, dark) = pair.strip_suffix(");")?.split_once(", ")?;
            Some((name, [parse(light)?, parse(dark)?]))
        })
        .collect()
}

/// Browsers without light-dark() get the same colours, in either theme.
#[test]
fn older_browsers_have_every_colour_in_light_and_dark() {
    let (first, rest) = CSS.split_once("@supports not").unwrap();
    let mut count = 0;
    for line in first.lines() {
        let Some((name, pair)) = line.trim().split_once(": light-dark(") else { continue };
        let Some((light, dark)) = pair.strip_suffix(");").and_then(|pair| pair.split_once(", "))
        else {
            continue;
        };
        let want = format!("{name}: var(--l, {light}) var(--k, {dark});");
        assert!(rest.contains(&want), "{want}");
        count += 1;
    }
    assert!(count > 50, "{count}");
}

fn parse(hex: &str) -> Option<Rgb> {
    let digits = hex.strip_prefix('#').filter(|d| d.len() == 6)?;
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?) / 255.0;
        Some(if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) })
    };
    Some([channel(0)?, channel(2)?, channel(4)?])
}

/// WCAG 2 contrast ratio.
fn contrast(a: Rgb, b: Rgb) -> f64 {
    let luminance = |c: Rgb| 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2] + 0.05;
    let (a, b) = (luminance(a), luminance(b));
    a.max(b) / a.min(b)
}

#[test]
fn text_is_readable_on_every_surface() {
    let tokens = tokens();
    let inks = [
        "ink",
        "ink-2",
        "ink-3",
        "accent",
        "down-text",
        "crit-text",
        "warn-text",
        "late-text",
        "unreach-text",
        "unk-text",
        "maint-text",
        "up-text",
    ];
    for theme in [0, 1] {
        for ink in inks {
            for surface in ["bg", "surface", "sunk", "hover"] {
                let ratio = contrast(tokens[ink][theme], tokens[surface][theme]);
                assert!(ratio >= 4.5, "{ink} on {surface}, theme {theme}: {ratio:.2}");
            }
        }
        for (ink, ground) in [
            ("down-text", "down-soft"),
            ("crit-text", "crit-soft"),
            ("warn-text", "warn-soft"),
            ("ink", "warn-soft"),
            ("up-text", "up-soft"),
            ("accent-ink", "accent"),
            ("accent", "accent-soft"),
        ] {
            let ratio = contrast(tokens[ink][theme], tokens[ground][theme]);
            assert!(ratio >= 4.5, "{ink} on {ground}, theme {theme}: {ratio:.2}");
        }
    }
}

#[test]
fn shapes_and_controls_stand_out() {
    let tokens = tokens();
    let shapes = [
        "down",
        "crit",
        "warn-edge",
        "late",
        "unreach",
        "unk",
        "maint",
        "up",
        "control",
        "series-1",
        "series-2",
        "series-3",
    ];
    for theme in [0, 1] {
        for shape in shapes {
            let ratio = contrast(tokens[shape][theme], tokens["surface"][theme]);
            assert!(ratio >= 3.0, "{shape}, theme {theme}: {ratio:.2}");
        }
    }
}

/// Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB.
const VISIONS: [(&str, [[f64; 3]; 3]); 4] = [
    ("normal", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    (
        "protan",
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
    ),
    (
        "deutan",
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    ),
    (
        "tritan",
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    ),
];

#[test]
fn fills_of_states_differ_for_every_eye() {
    let tokens = tokens();
    // Late, unreachable and unknown are outlines: their shape tells them apart, not their colour.
    let fills = ["down", "crit", "warn", "maint", "up", "unk"];
    for theme in [0, 1] {
        for (vision, matrix) in VISIONS {
            for (i, a) in fills.iter().enumerate() {
                for b in &fills[i + 1..] {
                    let distance = distance(
                        lab(seen(tokens[a][theme], matrix)),
                        lab(seen(tokens[b][theme], matrix)),
                    );
                    assert!(distance >= 9.5, "{a} and {b}, {vision}, theme {theme}: {distance:.1}");
                }
            }
        }
    }
}

fn seen(color: Rgb, matrix: [[f64; 3]; 3]) -> Rgb {
    matrix.map(|row| row.iter().zip(color).map(|(m, c)| m * c).sum::<f64>().clamp(0.0, 1.0))
}

/// CIE L*a*b* under D65.
fn lab(c: Rgb) -> [f64; 3] {
    let f = |t: f64| if t > 0.008856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
    let x = f((0.4124564 * c[0] + 0.3575761 * c[1] + 0.1804375 * c[2]) / 0.95047);
    let y = f(0.2126729 * c[0] + 0.7151522 * c[1] + 0.0721750 * c[2]);
    let z = f((0.0193339 * c[0] + 0.1191920 * c[1] + 0.9503041 * c[2]) / 1.08883);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// CIEDE2000 (Sharma, Wu, Dalal 2005).
fn distance(one: [f64; 3], two: [f64; 3]) -> f64 {
    let chroma = |c: [f64; 3]| c[1].hypot(c[2]);
    let mean = (chroma(one) + chroma(two)) / 2.0;
    let weight = 0.5 * (1.0 - (mean.powi(7) / (mean.powi(7) + 25f64.powi(7))).sqrt());
    let polar = |c: [f64; 3]| {
        let a = c[1] * (1.0 + weight);
        (a.hypot(c[2]), c[2].atan2(a).to_degrees().rem_euclid(360.0))
    };
    let ((c1, h1), (c2, h2)) = (polar(one), polar(two));
    let turn = match h2 - h1 {
        t if t > 180.0 => t - 360.0,
        t if t < -180.0 => t + 360.0,
        t => t,
    };
    let hue = 2.0 * (c1 * c2).sqrt() * (turn.to_radians() / 2.0).sin();
    let (l, c) = ((one[0] + two[0]) / 2.0, (c1 + c2) / 2.0);
    let middle = match (h1 - h2).abs() {
        t if t <= 180.0 => (h1 + h2) / 2.0,
        _ if h1 + h2 < 360.0 => (h1 + h2 + 360.0) / 2.0,
        _ => (h1 + h2 - 360.0) / 2.0,
    };
    let cos = |degrees: f64| degrees.to_radians().cos();
    let t =
        1.0 - 0.17 * cos(middle - 30.0) + 0.24 * cos(2.0 * middle) + 0.32 * cos(3.0 * middle + 6.0)
            - 0.20 * cos(4.0 * middle - 63.0);
    let lightness = 1.0 + 0.015 * (l - 50.0).powi(2) / (20.0 + (l - 50.0).powi(2)).sqrt();
    let (sc, sh) = (1.0 + 0.045 * c, 1.0 + 0.015 * c * t);
    let around = 60.0 * (-((middle - 275.0) / 25.0).powi(2)).exp();
    let rotation =
        -2.0 * (c.powi(7) / (c.powi(7) + 25f64.powi(7))).sqrt() * around.to_radians().sin();
    let (dl, dc, dh) = ((two[0] - one[0]) / lightness, (c2 - c1) / sc, hue / sh);
    (dl * dl + dc * dc + dh * dh + rotation * dc * dh).sqrt()
}

#[test]
fn distance_of_a_published_pair_is_the_published_one() {
    // Pair 1 of Sharma, Wu, Dalal 2005.
    let got = distance([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485]);
    assert!((got - 2.0425).abs() < 0.0001, "{got}");
}
