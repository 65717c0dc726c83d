//! `/favicon.svg?d=2&c=3&w=9`: the mark, with a badge that tells what is wrong.

use super::http::{Body, Response};
use super::{Answer, Call};
use std::fmt::Write as _;

/// The mark with the count of hosts that are down (square), critical (diamond) or in warning
/// (triangle).
pub fn respond(call: &Call<'_>) -> Answer {
    let count = |name: &str| call.query.get(name).and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 26 26\"><rect width=\"26\" \
         height=\"26\" rx=\"7\" fill=\"#2348B5\"/><path d=\"M4 14h4.200l2-6 4 11 2.600-7.500 1.200 \
         2.500h4\" fill=\"none\" stroke=\"#fff\" stroke-width=\"2\" stroke-linecap=\"round\" \
         stroke-linejoin=\"round\"/>",
    );
    let badge = match (count("d"), count("c"), count("w")) {
        (0, 0, 0) => None,
        (0, 0, n) => Some((n, "M18 9.500L26.500 26h-17z", "#F2B01E", "#3A2400")),
        (0, n, _) => Some((n, "M17.500 8.500l8.500 9-8.500 9-8.500-9z", "#DD4B0B", "#fff")),
        (n, _, _) => Some((n, "M10 10h16v16H10z", "#8E0B3A", "#fff")),
    };
    if let Some((count, shape, fill, ink)) = badge {
        let text = if count > 99 { "!".to_owned() } else { count.to_string() };
        // Writing to a String cannot fail.
        let _ = write!(
            svg,
            "<path d=\"{shape}\" fill=\"{fill}\" stroke=\"#fff\"/><text x=\"18\" y=\"22.500\" \
             font-family=\"sans-serif\" font-weight=\"700\" font-size=\"11\" \
             text-anchor=\"middle\" \
             fill=\"{ink}\">{text}</text>"
        );
    }
    svg.push_str("</svg>");
    Ok(Response {
        status: 200,
        headers: vec![
            ("Content-Type", "image/svg+xml".to_owned()),
            ("Cache-Control", "public, max-age=3600".to_owned()),
        ],
        body: Body::Owned(svg.into_bytes()),
    })
}
