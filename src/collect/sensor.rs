//! Clock frequency and temperature of the processor, from whichever file of this machine tells it.
//!
//! The files are chosen and opened once: to scan `/sys` each time would cost more than the rest.

use super::kernel_file::{BYTES_MAX, KernelFile, read_once};
use super::{Source, scan};
use std::path::{Path, PathBuf};

/// Directories looked at below `hwmon` and `thermal`, and files read of one sensor.
const SENSORS_MAX: usize = 64;
const INPUTS_MAX: usize = 4;
/// The first processor's entry is in here; reading on would make the kernel print all of them.
const CPUINFO_HEAD: usize = 2048;
/// Colder or hotter than this (millidegrees) is a sensor without a sensor.
const MILLIDEGREES: std::ops::Range<f64> = -60_000.0..200_000.0;

/// Chips of hwmon that sit in the processor.
const CPU_CHIPS: [&[u8]; 8] = [
    b"coretemp",
    b"k10temp",
    b"zenpower",
    b"k8temp",
    b"fam15h_power",
    b"via_cputemp",
    b"cpu_thermal",
    b"scpi_sensors",
];

/// The clock of the first processor.
pub enum Frequency {
    /// `cpufreq/scaling_cur_freq`, in kHz.
    Scaling(KernelFile),
    /// `cpu MHz` of `/proc/cpuinfo` (x86).
    Cpuinfo(KernelFile),
    None,
}

impl Frequency {
    pub fn find(source: &Source) -> Frequency {
        let scaling = source.sysfs.join("devices/system/cpu/cpu0/cpufreq/scaling_cur_freq");
        if scaling.exists() {
            return Frequency::Scaling(KernelFile::new(scaling, BYTES_MAX));
        }
        let mut cpuinfo = KernelFile::new(source.procfs.join("cpuinfo"), CPUINFO_HEAD);
        match cpuinfo.read(&mut Vec::new()).ok().and_then(parse_cpuinfo_mhz) {
            Some(_) => Frequency::Cpuinfo(cpuinfo),
            None => Frequency::None,
        }
    }

    /// In MHz.
    pub fn read(&mut self, buffer: &mut Vec<u8>) -> Option<f64> {
        match self {
            Frequency::Scaling(file) => {
                let khz = scan::number(file.read(buffer).ok()?.trim_ascii())?;
                (khz > 0).then_some(khz as f64 / 1000.0)
            }
            Frequency::Cpuinfo(file) => parse_cpuinfo_mhz(file.read(buffer).ok()?),
            Frequency::None => None,
        }
    }
}

/// `cpu MHz` of the first processor in `/proc/cpuinfo`.
pub fn parse_cpuinfo_mhz(bytes: &[u8]) -> Option<f64> {
    let value = scan::lines(bytes).find_map(|line| {
        scan::pair(line, b':').filter(|(key, _)| *key == b"cpu MHz").map(|(_, value)| value)
    })?;
    scan::decimal(value).filter(|mhz| *mhz > 0.0)
}

/// The hottest of the processor's sensors.
pub struct Temperature {
    inputs: Vec<KernelFile>,
}

impl Temperature {
    /// A chip of the processor where hwmon has one, else a thermal zone of it, else nothing.
    pub fn find(source: &Source) -> Temperature {
        let mut inputs = hwmon_inputs(&source.sysfs.join("class/hwmon"));
        if inputs.is_empty() {
            inputs = zone_inputs(&source.sysfs.join("class/thermal"));
        }
        let file = |path| KernelFile::new(path, BYTES_MAX);
        Temperature { inputs: inputs.into_iter().take(INPUTS_MAX).map(file).collect() }
    }

    /// In degrees Celsius.
    pub fn read(&mut self, buffer: &mut Vec<u8>) -> Option<f64> {
        let millidegrees = |file: &mut KernelFile| {
            scan::decimal(file.read(buffer).ok()?.trim_ascii())
                .filter(|value| MILLIDEGREES.contains(value))
        };
        self.inputs.iter_mut().filter_map(millidegrees).reduce(f64::max).map(|value| value / 1000.0)
    }
}

/// `temp1_input` of each processor chip: the package of coretemp, the die of k10temp. The further
/// inputs of coretemp are single cores, each of which is woken by being read.
fn hwmon_inputs(class: &Path) -> Vec<PathBuf> {
    let chip = |path: &PathBuf| read_once(path.join("name"), BYTES_MAX);
    entries(class)
        .into_iter()
        .filter(|path| chip(path).is_some_and(|name| CPU_CHIPS.contains(&name.trim_ascii())))
        .map(|path| path.join("temp1_input"))
        .filter(|path| path.exists())
        .collect()
}

fn zone_inputs(class: &Path) -> Vec<PathBuf> {
    let kind = |path: &PathBuf| read_once(path.join("type"), BYTES_MAX);
    entries(class)
        .into_iter()
        .filter(|path| kind(path).is_some_and(|kind| is_cpu_zone(&kind)))
        .map(|path| path.join("temp"))
        .filter(|path| path.exists())
        .collect()
}

/// Whether a thermal zone's type names the processor: `x86_pkg_temp`, `cpu-thermal`, `soc_thermal`.
fn is_cpu_zone(kind: &[u8]) -> bool {
    let kind = kind.trim_ascii().to_ascii_lowercase();
    [&b"cpu"[..], b"pkg_temp", b"soc"]
        .iter()
        .any(|part| kind.windows(part.len()).any(|window| window == *part))
}

/// The directories of a class of `/sys`, in the order of their names.
fn entries(class: &Path) -> Vec<PathBuf> {
    let Ok(directory) = std::fs::read_dir(class) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in directory.take(SENSORS_MAX).flatten() {
        let path = entry.path();
        let at = paths.partition_point(|before| *before < path);
        paths.insert(at, path);
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fixture_test;
    use proptest::prelude::*;

    #[test]
    fn sensors_of_each_machine_are_found() {
        let table = [
            (fixture_test::DEBIAN, Some(3593.248), Some(52.375)),
            (fixture_test::CENTOS, Some(1995.001), None),
            (fixture_test::OPENWRT, None, None),
            (fixture_test::ARMBIAN, Some(1500.398), Some(48.199)),
        ];
        for (fixture, mhz, celsius) in table {
            let source = fixture_test::source(fixture);
            let mut buffer = Vec::new();
            assert_eq!(Frequency::find(&source).read(&mut buffer), mhz, "{fixture}");
            assert_eq!(Temperature::find(&source).read(&mut buffer), celsius, "{fixture}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_finite_frequency(value in any::<Vec<u8>>()) {
            let bytes = [&b"cpu MHz : "[..], &value].concat();
            prop_assert!(parse_cpuinfo_mhz(&bytes).is_none_or(|mhz| mhz.is_finite() && mhz > 0.0));
        }
    }
}
