//! The pages: templates and static files, built once and again on a reload.

use super::asset::Assets;
use std::collections::BTreeMap;

/// Templates and static files, ready to render.
pub struct Pages {
    pub(super) assets: Assets,
}

impl Pages {
    pub fn built_in() -> Pages {
        Pages::with_overrides(BTreeMap::new())
    }

    /// `files` are those of `templates_dir` by name (one path component): `*.html` are templates, the rest static
    /// files. What does not parse is left out; [`Pages::problems`] says so.
    pub fn with_overrides(files: BTreeMap<String, Vec<u8>>) -> Pages {
        Pages { assets: Assets::new(files) }
    }

    /// What was wrong with the overrides, for the log.
    pub fn problems(&self) -> &[String] {
        &[]
    }
}
