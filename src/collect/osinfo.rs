//! `os_info`: what this machine is.

use super::kernel_file::{BYTES_MAX, KernelFile, LONG_MAX, read_once};
use super::{CollectError, ObjectWriter, Plugin, PluginKind, Source, TARGET};
use super::{cpuinfo, memory, release, stat, virtualization};
use crate::os::system;
use crate::time::Now;

pub const NAME: &str = "os_info";

pub struct OsInfo {
    source: Source,
    /// Which agent this is: `hbc` or `hbc-mini`.
    program: &'static str,
    stat: KernelFile,
    meminfo: KernelFile,
    /// These stay as they are while a machine runs.
    cpu_model: Option<String>,
    virtualization: &'static str,
    buffer: Vec<u8>,
}

impl OsInfo {
    pub fn new(source: &Source, program: &'static str) -> Result<OsInfo, CollectError> {
        let cpuinfo = read_once(source.procfs.join("cpuinfo"), BYTES_MAX).unwrap_or_default();
        Ok(OsInfo {
            source: source.clone(),
            program,
            stat: KernelFile::new(source.procfs.join("stat"), LONG_MAX),
            meminfo: KernelFile::new(source.procfs.join("meminfo"), BYTES_MAX),
            cpu_model: cpuinfo::parse_model(&cpuinfo),
            virtualization: virtualization::detect(source, &cpuinfo),
            buffer: Vec::new(),
        })
    }

    fn write_release(&self, object: &mut ObjectWriter<'_>) {
        let release = release::read(&self.source.rootfs);
        object.text_if("distribution", release.name.as_deref());
        object.text_if("distribution_version", release.version.as_deref());
    }
}

impl Plugin for OsInfo {
    fn name(&self) -> &str {
        NAME
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Info
    }

    fn collect(&mut self, _now: Now, out: &mut String) -> Result<(), CollectError> {
        let uname = system::uname().map_err(|error| CollectError(format!("uname: {error}")))?;
        let bytes = self.stat.read(&mut self.buffer).ok();
        let stat = bytes.and_then(|bytes| stat::parse_stat(bytes, true));
        let cpus = stat.as_ref().map(|stat| stat.cpus.len() as u64).filter(|cpus| *cpus > 0);
        let bytes = self.meminfo.read(&mut self.buffer).ok();
        let memory = bytes.and_then(memory::parse_meminfo);
        let mut object = ObjectWriter::new(out);
        object.text("system", &uname.system);
        self.write_release(&mut object);
        object.text("kernel", &uname.kernel);
        object.text("architecture", &uname.architecture);
        object.text("hostname", &uname.hostname);
        object.text_if("cpu_model", self.cpu_model.as_deref());
        object.integer_if("cpu_count", cpus);
        object.number_if("memory_total_mb", memory.map(|info| info.total as f64 / 1024.0), 2);
        object.integer_if("boot_time", stat.and_then(|stat| stat.boot_time));
        object.text("agent_version", env!("CARGO_PKG_VERSION"));
        object.text("agent_program", self.program);
        object.text("agent_target", TARGET);
        object.text("virtualization", self.virtualization);
        object.finish();
        Ok(())
    }
}
