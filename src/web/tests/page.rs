//! The pages from outside: what they show, and that nothing slips into them.

use crate::web::fixture::{Bench, request};

/// Writes pages for a look at them: `HB_PREVIEW=DIR cargo test preview -- --ignored`.
#[test]
#[ignore = "writes files to look at"]
#[allow(clippy::disallowed_methods)]
fn preview_writes_the_pages() {
    let Some(dir) = std::env::var_os("HB_PREVIEW").map(std::path::PathBuf::from) else { return };
    let write = |name: &str, body: &[u8]| {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, body).unwrap();
    };
    for (size, name) in [(0, "empty"), (1, "one"), (16, "few"), (1212, "fleet"), (10_000, "large")]
    {
        let bench = Bench::new(size);
        for theme in ["light", "dark"] {
            let cookie = format!("hb_theme={theme}");
            let headers = [("Host", "mon.example.net:50004"), ("Cookie", &*cookie)];
            for (page, target) in [
                ("live", "/live"),
                ("host", "/plugins/db-01.bsl"),
                ("events", "/events"),
                ("none", "/plugins/db-02"),
            ] {
                let html = bench.get_with(target, &headers);
                let html = String::from_utf8(html.body.as_bytes().to_vec()).unwrap();
                // Without the server the live module would only say that it is not there.
                let html = html.replace("type=\"module\"", "type=\"text/plain\"");
                write(&format!("{name}-{page}-{theme}.html"), html.as_bytes());
            }
        }
        for asset in ["hb.css", "favicon.svg", "live.js"] {
            let url = bench.pages.assets.url(asset).unwrap();
            write(url.trim_start_matches('/'), bench.get(&url).body.as_bytes());
        }
    }
    let _ = request("GET", "/", &[], b"");
}
