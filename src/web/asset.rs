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
    ("canvas.js", include_bytes!("../../templates/static/canvas.js")),
    ("chart.js", include_bytes!("../../templates/static/chart.js")),
    ("clock.js", include_bytes!("../../templates/static/clock.js")),
    ("copy.js", include_bytes!("../../templates/static/copy.js")),
    ("dialog.js", include_bytes!("../../templates/static/dialog.js")),
    ("dress.js", include_bytes!("../../templates/static/dress.js")),
    ("feed.js", include_bytes!("../../templates/static/feed.js")),
    ("filter.js", include_bytes!("../../templates/static/filter.js")),
    ("find.js", include_bytes!("../../templates/static/find.js")),
    ("fresh.js", include_bytes!("../../templates/static/fresh.js")),
    ("heading.js", include_bytes!("../../templates/static/heading.js")),
    ("heat.js", include_bytes!("../../templates/static/heat.js")),
    ("host.js", include_bytes!("../../templates/static/host.js")),
    ("live.js", include_bytes!("../../templates/static/live.js")),
    ("moment.js", include_bytes!("../../templates/static/moment.js")),
    ("poll.js", include_bytes!("../../templates/static/poll.js")),
    ("reduce.js", include_bytes!("../../templates/static/reduce.js")),
    ("rest.js", include_bytes!("../../templates/static/rest.js")),
    ("row.js", include_bytes!("../../templates/static/row.js")),
    ("scroll.js", include_bytes!("../../templates/static/scroll.js")),
    ("table.js", include_bytes!("../../templates/static/table.js")),
    ("text.js", include_bytes!("../../templates/static/text.js")),
    ("toast.js", include_bytes!("../../templates/static/toast.js")),
    ("told.js", include_bytes!("../../templates/static/told.js")),
    ("favicon.svg", include_bytes!("../../templates/static/favicon.svg")),
];

/// Hex digits of a file's hash in its name.
const HASH_LEN: usize = 8;

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
    /// `HASH_LEN` hex digits of the content; a cache key, no protection.
    hash: String,
}

#[derive(Debug)]
pub struct Assets {
    files: BTreeMap<String, Asset>,
    /// Addresses of the modules that `live.js` imports.
    live: Vec<String>,
}

impl Assets {
    /// The built-in files, with `overrides` in the place of those of the same name and beside them.
    pub fn new(overrides: BTreeMap<String, Vec<u8>>) -> Assets {
        let built_in = BUILT_IN.iter().map(|(name, bytes)| {
            let script = std::str::from_utf8(bytes).ok().filter(|_| name.ends_with(".js"));
            let bytes = script.map_or_else(|| bytes.to_vec(), |js| compact_js(js).into_bytes());
            ((*name).to_owned(), bytes)
        });
        let mut sources: BTreeMap<String, Vec<u8>> = built_in.chain(overrides).collect();
        let mut files = BTreeMap::new();
        while let Some(name) = sources.keys().next().cloned() {
            make(&name, &mut sources, &mut files);
        }
        let mut live = Vec::new();
        imports("live.js", &files, &mut live);
        Assets { files, live }
    }

    /// What `live.js` imports before it runs: to be fetched beside it.
    pub fn imports_of_live(&self) -> Vec<String> {
        self.live.clone()
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
        if hash.len() != HASH_LEN || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let asset = self.files.get(&format!("{stem}.{extension}"))?;
        // A page of before an update asks for the old hash: better the new file than none.
        Some((asset, asset.hash == hash))
    }
}

/// The file `name` and before it what it imports: those are named by their hashes in it, so that a module and its
/// imports are of one build, and may be kept for ever. Modules that import each other in a circle keep plain names.
fn make(name: &str, sources: &mut BTreeMap<String, Vec<u8>>, files: &mut BTreeMap<String, Asset>) {
    let Some(mut bytes) = sources.remove(name) else { return };
    let script = std::str::from_utf8(&bytes).ok().filter(|_| name.ends_with(".js"));
    if let Some(script) = script {
        let mut parts = script.split("'./");
        let mut named = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            named.push_str("'./");
            let (file, rest) = part.split_once('\'').unwrap_or((part, ""));
            make(file, sources, files);
            match (files.get(file), file.strip_suffix(".js")) {
                (Some(asset), Some(stem)) => {
                    named.push_str(&format!("{stem}.{}.js'{rest}", asset.hash));
                }
                _ => named.push_str(part),
            }
        }
        bytes = named.into_bytes();
    }
    files.insert(name.to_owned(), Asset::new(name, bytes));
}

/// Addresses of what a module imports, and what that imports, each once.
fn imports(name: &str, files: &BTreeMap<String, Asset>, urls: &mut Vec<String>) {
    let Some(text) = files.get(name).map(|asset| String::from_utf8_lossy(&asset.bytes)) else {
        return;
    };
    for file in text.split("from './").skip(1).filter_map(|rest| Some(rest.split_once('\'')?.0)) {
        let url = format!("/static/{file}");
        if !urls.contains(&url) {
            urls.push(url);
            imports(&format!("{}.js", file.split('.').next().unwrap_or_default()), files, urls);
        }
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
    fn module_names_what_it_imports_by_hash_and_a_circle_ends() {
        let files = [
            ("a.js", "import './b.js';\nimport { c } from './c.js';\nimport('./d.js');"),
            ("b.js", "import { a } from './a.js';"),
            ("c.js", "export const c = 'not/./a.js';"),
            ("live.js", "import { c } from './c.js';\nimport * as a from './a.js';\n"),
        ];
        let own = |text: &str| text.as_bytes().to_vec();
        let assets = Assets::new(files.map(|(name, text)| (name.to_owned(), own(text))).into());
        let text = |name: &str| String::from_utf8(assets.files[name].bytes.to_vec()).unwrap();
        let url = |name: &str| assets.url(name).unwrap().replace("/static/", "./");
        assert_eq!(text("b.js"), "import { a } from './a.js';", "the circle keeps its plain name");
        let (b, c) = (url("b.js"), url("c.js"));
        assert_eq!(
            text("a.js"),
            format!("import '{b}';\nimport {{ c }} from '{c}';\nimport('./d.js');")
        );
        let absolute = |name: &str| assets.url(name).unwrap();
        assert_eq!(assets.imports_of_live(), [absolute("c.js"), absolute("a.js")]);
    }

    /// ui/UI.md 4.13: each module 6 KB at most, and 20 KB what follows the fleet.
    #[test]
    fn own_scripts_are_small() {
        let assets = Assets::new(BTreeMap::new());
        let size = |name: &str| assets.files[name].bytes.len();
        for name in assets.files.keys().filter(|name| name.ends_with(".js")) {
            assert!(size(name) <= 6 << 10, "{name}: {}", size(name));
        }
        let of_url = |url: &String| {
            let name = url.trim_start_matches("/static/").split('.').next().unwrap().to_owned();
            size(&format!("{name}.js"))
        };
        let live: usize =
            assets.imports_of_live().iter().map(of_url).sum::<usize>() + size("live.js");
        assert!(live <= 20 << 10, "{live} bytes: {:?}", assets.imports_of_live());
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
