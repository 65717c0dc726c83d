//! Static files: compiled in, or put over them from `templates_dir`. Served under a name with a
//! hash for ever, under the plain name with an ETag. A name is one path component, looked up in a
//! table: no path reaches a disk.

use super::gzip;
use super::http::{Body, Response};
use super::problem::Problem;
use super::{Answer, Call};
use std::collections::BTreeMap;
use std::sync::Arc;

const BUILT_IN: &[(&str, &[u8])] = &[
    ("hb.css", include_bytes!("../../templates/static/hb.css")),
    ("more.css", include_bytes!("../../templates/static/more.css")),
    ("base.js", include_bytes!("../../templates/static/base.js")),
    ("chart.js", include_bytes!("../../templates/static/chart.js")),
    ("map.js", include_bytes!("../../templates/static/map.js")),
    ("live.js", include_bytes!("../../templates/static/live.js")),
    ("favicon.svg", include_bytes!("../../templates/static/favicon.svg")),
];

/// `GET /static/{file}`
pub fn respond(call: &Call<'_>) -> Answer {
    call.context.pages.assets.respond(call, call.param("file"))
}

/// A file as it goes out.
#[derive(Debug)]
struct Asset {
    bytes: Arc<[u8]>,
    /// Where it is text and gets smaller.
    gzip: Option<Arc<[u8]>>,
    kind: &'static str,
    /// Eight hex digits of the content; a cache key, no protection.
    hash: String,
}

#[derive(Debug)]
pub struct Assets {
    files: BTreeMap<String, Asset>,
}

impl Assets {
    /// The built-in files, with `overrides` in the place of those of the same name and beside them.
    pub fn new(overrides: BTreeMap<String, Vec<u8>>) -> Assets {
        let built_in = BUILT_IN.iter().map(|(name, bytes)| {
            let script = std::str::from_utf8(bytes).ok().filter(|_| name.ends_with(".js"));
            let bytes = script.map_or_else(|| bytes.to_vec(), |js| compact_js(js).into_bytes());
            ((*name).to_owned(), bytes)
        });
        let files = built_in
            .chain(overrides)
            .map(|(name, bytes)| {
                let asset = Asset::new(&name, bytes);
                (name, asset)
            })
            .collect();
        Assets { files }
    }

    /// The path under which pages refer to the file: with its hash, so that it may be kept for
    /// ever.
    pub fn url(&self, name: &str) -> Option<String> {
        let asset = self.files.get(name)?;
        let (stem, extension) = name.rsplit_once('.')?;
        Some(format!("/static/{stem}.{}.{extension}", asset.hash))
    }

    /// `GET /static/NAME` or `/static/STEM.HASH.EXT`
    fn respond(&self, call: &Call<'_>, name: &str) -> Answer {
        let (asset, is_forever) = self.find(name).ok_or_else(|| {
            Problem::new(404, "no_such_file", "There is no static file of that name.")
        })?;
        let tag = format!("\"{}\"", asset.hash);
        let mut headers = vec![
            ("Content-Type", asset.kind.to_owned()),
            ("Cache-Control", cache_control(is_forever).to_owned()),
            ("ETag", tag.clone()),
            ("Vary", "Accept-Encoding".to_owned()),
        ];
        let known = call.request.header("if-none-match").unwrap_or("");
        if known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag) {
            return Ok(Response { status: 304, headers, body: Body::Static(b"") });
        }
        let takes_gzip =
            gzip::is_accepted(call.request.header("accept-encoding").unwrap_or_default());
        let body = match &asset.gzip {
            Some(gzip) if takes_gzip => {
                headers.push(("Content-Encoding", "gzip".to_owned()));
                gzip
            }
            _ => &asset.bytes,
        };
        Ok(Response { status: 200, headers, body: Body::Shared(Arc::clone(body)) })
    }

    /// The file, and whether the name carries the hash of just this content.
    fn find(&self, name: &str) -> Option<(&Asset, bool)> {
        if let Some(asset) = self.files.get(name) {
            return Some((asset, false));
        }
        let (rest, extension) = name.rsplit_once('.')?;
        let (stem, hash) = rest.rsplit_once('.')?;
        let asset = self.files.get(&format!("{stem}.{extension}"))?;
        // A page of before an update asks for the old hash: better the new file than none.
        Some((asset, asset.hash == hash))
    }
}

impl Asset {
    fn new(name: &str, bytes: Vec<u8>) -> Asset {
        let (kind, is_text) = kind(name);
        let bytes = match std::str::from_utf8(&bytes) {
            Ok(css) if name.ends_with(".css") => compact_css(css).into_bytes(),
            _ => bytes,
        };
        let smaller = is_text.then(|| gzip::compress(&bytes, 9)).filter(|z| z.len() < bytes.len());
        Asset {
            hash: format!("{:08x}", gzip::crc32(&bytes)),
            bytes: bytes.into(),
            gzip: smaller.map(Arc::from),
            kind,
        }
    }
}

/// A style sheet without comments and without the spaces that only people need.
fn compact_css(css: &str) -> String {
    let mut out = String::with_capacity(css.len());
    let mut rest = css;
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => {
                let end = rest[1..].find('"').map_or(rest.len(), |end| end + 2);
                out.push_str(&rest[..end]);
                end
            }
            c if c.is_ascii_whitespace() => {
                if !out.is_empty() && !out.ends_with([' ', '{', '}', ';', ',', '>']) {
                    out.push(' ');
                }
                1
            }
            c => {
                if matches!(c, '{' | '}' | ';' | ',' | '>') && out.ends_with(' ') {
                    out.pop();
                }
                out.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

/// One of our own scripts without lines of comment and indentation. Ours alone: it would change
/// text that goes over several lines, which they do not have.
fn compact_js(js: &str) -> String {
    let mut out = String::with_capacity(js.len());
    let mut in_comment = false;
    for line in js.lines().map(str::trim) {
        in_comment |= line.starts_with("/*");
        if !in_comment && !line.is_empty() && !line.starts_with("//") {
            out.push_str(line);
            out.push('\n');
        }
        in_comment &= !line.ends_with("*/");
    }
    out
}

const fn cache_control(is_forever: bool) -> &'static str {
    if is_forever { "public, max-age=31536000, immutable" } else { "no-cache" }
}

/// Content type by extension, and whether it is text.
fn kind(name: &str) -> (&'static str, bool) {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "css" => ("text/css; charset=utf-8", true),
        "js" => ("text/javascript; charset=utf-8", true),
        "svg" => ("image/svg+xml", true),
        "json" | "webmanifest" => ("application/json", true),
        "txt" => ("text/plain; charset=utf-8", true),
        "png" => ("image/png", false),
        "jpg" | "jpeg" => ("image/jpeg", false),
        "webp" => ("image/webp", false),
        "ico" => ("image/x-icon", false),
        _ => ("application/octet-stream", false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_js_drops_lines_of_comment_only() {
        let js = "// a\nlet a = 1; // b\n\n/** c\n * d */\n  f('//');\n/* e */\ng();\n";
        assert_eq!(compact_js(js), "let a = 1; // b\nf('//');\ng();\n");
    }

    #[test]
    fn own_scripts_have_no_text_over_several_lines() {
        for (name, bytes) in BUILT_IN.iter().filter(|(name, _)| name.ends_with(".js")) {
            for line in String::from_utf8_lossy(bytes).lines() {
                assert!(line.matches('`').count().is_multiple_of(2), "{name}: {line}");
            }
        }
    }

    #[test]
    fn compact_css_keeps_what_counts() {
        let css =
            "/* a { } */\n.a > .b :is(i, b) {\n  content: \"x ; y \"; margin: 0 -1px;\n}\n/* open";
        assert_eq!(compact_css(css), ".a>.b :is(i,b){content: \"x ; y \";margin: 0 -1px;}");
    }
}
