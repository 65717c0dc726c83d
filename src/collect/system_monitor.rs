//! `system_monitor`: what a machine's own service manager and sensors complain of: failed units, a
//! reboot that is due, temperatures of everything that has a sensor.
//!
//! Reads files, and asks systemctl(1) where systemd runs. Never starts a program elsewhere.

use super::sensor::Thermometers;
use super::{CollectError, Errand, ObjectWriter, Plugin, PluginKind, Source, program};
use crate::config::agent;
use crate::os::child::{self, Child, Ended, Exit, Program};
use crate::os::errand;
use crate::text;
use crate::time::{Duration, Mono, Now};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

pub const NAME: &str = "system_monitor";

/// Names of failed units that are told, in bytes.
const NAMES_MAX: usize = 512;
/// What Debian and its kin leave behind when an update needs a reboot.
const MARKERS: [&str; 2] = ["run/reboot-required", "var/run/reboot-required"];

pub struct SystemMonitor {
    /// `None`: no systemd here.
    systemctl: Option<String>,
    timeout: Duration,
    rootfs: PathBuf,
    /// The distribution is one of those that leave the marker.
    marks_reboots: bool,
    thermometers: Thermometers,
    buffer: Vec<u8>,
    run: Option<Child>,
}

impl SystemMonitor {
    /// # Errors
    /// This machine has nothing of what it tells.
    pub fn new(source: &Source, settings: &agent::Plugin) -> Result<SystemMonitor, CollectError> {
        let rootfs = source.rootfs.clone();
        let monitor = SystemMonitor {
            systemctl: systemctl(&rootfs),
            timeout: settings.timeout,
            marks_reboots: rootfs.join("var/lib/dpkg").is_dir(),
            rootfs,
            thermometers: Thermometers::find(source),
            buffer: Vec::new(),
            run: None,
        };
        if monitor.systemctl.is_none() && !monitor.marks_reboots && monitor.thermometers.is_empty()
        {
            let why = "no systemd, no marker of a due reboot and no sensor here";
            return Err(CollectError(why.to_owned()));
        }
        Ok(monitor)
    }

    /// `failed`: names of the failed units, where somebody keeps them.
    fn write(&mut self, failed: Option<Vec<String>>, out: &mut String) {
        let mut object = ObjectWriter::new(out);
        if let Some(names) = failed {
            object.integer("failed_units", names.len() as u64);
            object.text("failed_unit_names", text::cut(&names.join(", "), NAMES_MAX));
        }
        let due = MARKERS.iter().any(|marker| self.rootfs.join(marker).exists());
        if due || self.marks_reboots {
            object.bool("reboot_required", due);
        }
        self.thermometers.write(&mut self.buffer, &mut object);
        object.finish();
    }
}

/// systemctl(1), where systemd is what runs this very system: a container that watches its host
/// would ask the wrong one.
fn systemctl(rootfs: &Path) -> Option<String> {
    let here = rootfs == Path::new("/") && Path::new("/run/systemd/system").is_dir();
    let path = child::find("systemctl").filter(|_| here)?;
    Some(path.to_string_lossy().into_owned())
}

/// Units of `systemctl list-units --state=failed --plain --no-legend`: the first word of each line.
pub fn parse_failed(text: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| line.split_ascii_whitespace().next());
    names.filter(|name| name.contains('.')).map(str::to_owned).collect()
}

fn failed(ended: &Ended) -> Result<Vec<String>, CollectError> {
    if ended.timed_out {
        return Err(CollectError("systemctl timed out".to_owned()));
    }
    match ended.exit {
        Exit::Code(0) => Ok(parse_failed(&String::from_utf8_lossy(&ended.stdout))),
        _ => Err(CollectError(format!("systemctl: {}", program::complaint(ended)))),
    }
}

impl Plugin for SystemMonitor {
    fn name(&self) -> &str {
        NAME
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Monitor
    }

    fn limit(&self) -> Option<Duration> {
        Some(self.timeout + program::MARGIN)
    }

    fn collect(&mut self, _now: Now, out: &mut String) -> Result<(), CollectError> {
        errand::finish(self, out)
    }

    fn errand(&mut self) -> Option<&mut dyn Errand> {
        Some(self)
    }
}

impl Errand for SystemMonitor {
    fn advance(&mut self, now: Now, out: &mut String) -> Option<Result<(), CollectError>> {
        let run = match (self.run.take(), &self.systemctl) {
            (Some(run), _) => Ok(run),
            (None, Some(systemctl)) => {
                let words =
                    ["list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"];
                let words = [systemctl.as_str()].into_iter().chain(words);
                let argv = words.map(str::to_owned).collect();
                let timeout = Some(self.timeout);
                Child::start(&Program { argv, timeout, ..Program::default() }, now.mono)
            }
            (None, None) => {
                self.write(None, out);
                return Some(Ok(()));
            }
        };
        let ended = match run {
            Ok(mut run) => match run.poll(now.mono) {
                Some(ended) => ended,
                None => {
                    self.run = Some(run);
                    return None;
                }
            },
            Err(error) => {
                return Some(Err(CollectError(format!("systemctl cannot be run: {error}"))));
            }
        };
        Some(failed(&ended).map(|names| self.write(Some(names), out)))
    }

    fn watch<'a>(&'a self, on: &mut Vec<BorrowedFd<'a>>) -> Mono {
        self.run.as_ref().map_or(Mono::ZERO, |run| run.watch(on))
    }

    fn abandon(&mut self) {
        self.run = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fixture_test;

    const FAILED: &str = "\
apt-daily.service     loaded failed failed Daily apt download activities
data.mount            loaded failed failed /data
";

    fn monitor(rootfs: &Path, system: &str) -> Result<SystemMonitor, CollectError> {
        let source = Source { rootfs: rootfs.to_owned(), ..fixture_test::source(system) };
        SystemMonitor::new(&source, &agent::Plugin::default())
    }

    fn sample(monitor: &mut SystemMonitor) -> String {
        let mut out = String::new();
        monitor.collect(Now::default(), &mut out).expect("a sample");
        out
    }

    #[test]
    fn failed_units_are_the_first_words() {
        assert_eq!(parse_failed(FAILED), ["apt-daily.service", "data.mount"]);
        assert!(parse_failed("").is_empty());
        assert!(parse_failed("0 loaded units listed.").is_empty());
    }

    #[test]
    fn reboot_is_due_where_the_marker_lies_and_not_due_where_it_could() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path();
        assert!(monitor(root, fixture_test::OPENWRT).is_err(), "nothing to tell");
        std::fs::create_dir_all(root.join("var/lib/dpkg")).expect("made");
        let mut monitor = monitor(root, fixture_test::OPENWRT).expect("it marks reboots");
        assert_eq!(sample(&mut monitor), r#"{"reboot_required":false}"#);
        std::fs::create_dir(root.join("run")).expect("made");
        std::fs::write(root.join("run/reboot-required"), "").expect("written");
        assert_eq!(sample(&mut monitor), r#"{"reboot_required":true}"#);
    }

    #[test]
    fn units_that_failed_are_counted_and_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let script = dir.path().join("systemctl");
        std::fs::write(&script, format!("#!/bin/sh\ncat <<'END'\n{FAILED}END\n")).expect("written");
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("set");
        std::fs::create_dir_all(dir.path().join("var/lib/dpkg")).expect("made");
        let mut monitor = monitor(dir.path(), fixture_test::OPENWRT).expect("it marks reboots");
        monitor.systemctl = Some(script.to_string_lossy().into_owned());
        let want = r#"{"failed_units":2,"failed_unit_names":"apt-daily.service, data.mount","reboot_required":false}"#;
        assert_eq!(sample(&mut monitor), want);
        std::fs::write(&script, "#!/bin/sh\necho 'Failed to connect to bus' >&2\nexit 1\n")
            .expect("written");
        let error = monitor.collect(Now::default(), &mut String::new()).expect_err("it fails");
        assert_eq!(error.0, "systemctl: exit status 1: Failed to connect to bus");
    }

    #[test]
    fn every_sensor_is_named_after_its_chip() {
        let dir = tempfile::tempdir().expect("a directory");
        let sample = |system| monitor(dir.path(), system).map(|mut monitor| sample(&mut monitor));
        let debian = sample(fixture_test::DEBIAN).expect("it has sensors");
        assert_eq!(debian, r#"{"temperatures":{"nvme":38.9,"k10temp":52.4}}"#);
        let armbian = sample(fixture_test::ARMBIAN).expect("it has zones");
        assert_eq!(armbian, r#"{"temperatures":{"cpu-thermal":48.2,"gpu-thermal":61}}"#);
    }
}
