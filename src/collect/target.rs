//! What this build runs on, by the names that releases have.

/// Operating system and processor of this build, as releases name them: `linux-x86_64`.
pub const TARGET: &str = target();

const fn target() -> &'static str {
    let little = cfg!(target_endian = "little");
    let arm = cfg!(target_arch = "arm");
    let mips = cfg!(target_arch = "mips");
    if cfg!(target_os = "linux") {
        return match () {
            () if cfg!(target_arch = "x86_64") => "linux-x86_64",
            () if cfg!(target_arch = "aarch64") => "linux-aarch64",
            () if arm => "linux-armv7",
            () if mips && little => "linux-mipsel",
            () if mips => "linux-mips",
            () if cfg!(target_arch = "riscv64") => "linux-riscv64",
            () if cfg!(target_arch = "x86") => "linux-i686",
            () => "linux-other",
        };
    }
    match () {
        () if cfg!(all(target_os = "freebsd", target_arch = "x86_64")) => "freebsd-x86_64",
        () if cfg!(target_os = "freebsd") => "freebsd-aarch64",
        () if cfg!(all(target_os = "macos", target_arch = "x86_64")) => "macos-x86_64",
        () if cfg!(target_os = "macos") => "macos-aarch64",
        () => "other-other",
    }
}
