//! `filesystem_info`: which file systems are mounted where, with which options.

use super::mount::{Choice, Mount, Table};
use super::space::Surveyor;
use super::{CollectError, ObjectWriter, Plugin, PluginKind, Source, scan};
use crate::config::agent;
use crate::text;
use crate::time::Now;
use std::path::PathBuf;

pub const NAME: &str = "filesystem_info";

/// Longest list of options kept; that of an overlay names all its layers.
const OPTIONS_MAX: usize = 256;
const GB: f64 = (1u64 << 30) as f64;

pub struct FilesystemInfo {
    mounts: Table,
    settings: agent::Plugin,
    rootfs: PathBuf,
    surveyor: Surveyor,
}

impl FilesystemInfo {
    pub fn new(source: &Source, settings: &agent::Plugin) -> Result<FilesystemInfo, CollectError> {
        Ok(FilesystemInfo {
            mounts: Table::find(source)?,
            settings: settings.clone(),
            rootfs: source.rootfs.clone(),
            surveyor: Surveyor::default(),
        })
    }
}

impl Plugin for FilesystemInfo {
    fn name(&self) -> &str {
        NAME
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Info
    }

    fn collect(&mut self, _now: Now, out: &mut String) -> Result<(), CollectError> {
        let mounts = Choice(&self.settings).choose(self.mounts.read()?);
        let spaces = self.surveyor.survey(&mounts, &self.rootfs);
        let mut object = ObjectWriter::new(out);
        object.begin("filesystems");
        for (mount, space) in mounts.iter().zip(spaces) {
            object.begin(&mount.key());
            object.text("device", &scan::text(&mount.device));
            object.text("fstype", &scan::text(mount.fstype));
            object.text("options", text::cut(&options(mount), OPTIONS_MAX));
            let total = space.map(|space| space.total).filter(|total| *total > 0);
            object.number_if("total_gb", total.map(|total| total as f64 / GB), 3);
            object.end();
        }
        object.end();
        object.finish();
        Ok(())
    }
}

/// The options of the mount, then those of its file system, as `/proc/mounts` joins them.
fn options(mount: &Mount<'_>) -> String {
    let mut options = scan::text(mount.options);
    for option in scan::text(mount.super_options).split(',') {
        if !matches!(option, "" | "rw" | "ro") {
            options.push(',');
            options.push_str(option);
        }
    }
    options
}
