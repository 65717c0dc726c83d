//! Clock frequency and temperature of the processor, from whichever file of this machine tells it;
//! and every other thermometer.
//!
//! The files are chosen and opened once: to scan `/sys` each time would cost more than the rest.

use super::kernel_file::{BYTES_MAX, KernelFile, read_once};
use super::{ObjectWriter, Source, scan};
use std::path::{Path, PathBuf};

/// Directories looked at below `hwmon` and `thermal`, and files read of one sensor.
const SENSORS_MAX: usize = 64;
const INPUTS_MAX: usize = 4;
const THERMOMETERS_MAX: usize = 32;
const CHIP_INPUTS_MAX: usize = 12;
/// The first processor's clock is in here, in all of 300 bytes; reading on would make the kernel print the next
/// processor as well, which takes it as long again.
const CPUINFO_HEAD: usize = 512;
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

/// Every sensor of the machine under the name of its chip.
pub struct Thermometers(Vec<(String, KernelFile)>);

impl Thermometers {
    /// Those of hwmon, else the thermal zones.
    pub fn find(source: &Source) -> Thermometers {
        let chips = entries(&source.sysfs.join("class/hwmon"));
        let mut found: Vec<(String, PathBuf)> = chips.iter().flat_map(|dir| chip(dir)).collect();
        if found.is_empty() {
            let zones = entries(&source.sysfs.join("class/thermal"));
            let named = |dir: &PathBuf| Some((word(&dir.join("type"))?, dir.join("temp")));
            found = zones.iter().filter_map(named).filter(|(_, path)| path.exists()).collect();
        }
        let mut sensors: Vec<(String, KernelFile)> = Vec::new();
        for (name, path) in found.into_iter().take(THERMOMETERS_MAX) {
            let taken = |name: &String| sensors.iter().any(|(other, _)| other == name);
            let numbered = (2..).map(|number| format!("{name}_{number}"));
            let free = std::iter::once(name.clone()).chain(numbered).find(|name| !taken(name));
            sensors.push((free.unwrap_or(name), KernelFile::new(path, BYTES_MAX)));
        }
        Thermometers(sensors)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Degrees Celsius of each that gives a likely value.
    pub fn write(&mut self, buffer: &mut Vec<u8>, object: &mut ObjectWriter<'_>) {
        if self.is_empty() {
            return;
        }
        object.begin("temperatures");
        for (name, file) in &mut self.0 {
            let bytes = file.read(buffer).ok();
            let value = bytes.and_then(|bytes| scan::decimal(bytes.trim_ascii()));
            let value = value.filter(|value| MILLIDEGREES.contains(value));
            object.number_if(name, value.map(|value| value / 1000.0), 1);
        }
        object.end();
    }
}

/// The inputs of one chip: `nvme`, or `nct6775_cpu` where it has several and says which is which.
/// Of coretemp only the package: the others are single cores, each of which is woken by being read.
fn chip(dir: &Path) -> Vec<(String, PathBuf)> {
    let Some(name) = word(&dir.join("name")) else { return Vec::new() };
    let count = if name == "coretemp" { 1 } else { CHIP_INPUTS_MAX };
    let inputs = (1..=count).map(|n| (n, dir.join(format!("temp{n}_input"))));
    let inputs: Vec<_> = inputs.filter(|(_, path)| path.exists()).collect();
    if let [(_, path)] = &inputs[..] {
        return vec![(name, path.clone())];
    }
    let named = |(n, path)| {
        let label = word(&dir.join(format!("temp{n}_label"))).unwrap_or(format!("temp{n}"));
        (format!("{name}_{label}"), path)
    };
    inputs.into_iter().map(named).collect()
}

/// The first line of a small file as a key: what is no letter, digit, `-` or `_` becomes `_`.
fn word(path: &Path) -> Option<String> {
    let bytes = read_once(path.to_owned(), 64)?;
    let keep = |b: &u8| b.is_ascii_alphanumeric() || b"-_".contains(b);
    let letter = |b: &u8| if keep(b) { char::from(b.to_ascii_lowercase()) } else { '_' };
    let word: String = bytes.trim_ascii().iter().map(letter).collect();
    (!word.is_empty()).then_some(word)
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
