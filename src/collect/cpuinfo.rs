//! `/proc/cpuinfo`: what the processor is called. Every architecture has words of its own there.

use super::scan;
use crate::text;

/// Longest name kept.
const TEXT_MAX: usize = 128;

/// Part numbers of Arm Ltd. (implementer 0x41), as in their reference manuals (MIDR_EL1).
const ARM_PARTS: [(&[u8], &str); 22] = [
    (b"0xb76", "ARM1176"),
    (b"0xc05", "Cortex-A5"),
    (b"0xc07", "Cortex-A7"),
    (b"0xc08", "Cortex-A8"),
    (b"0xc09", "Cortex-A9"),
    (b"0xc0f", "Cortex-A15"),
    (b"0xd03", "Cortex-A53"),
    (b"0xd04", "Cortex-A35"),
    (b"0xd05", "Cortex-A55"),
    (b"0xd07", "Cortex-A57"),
    (b"0xd08", "Cortex-A72"),
    (b"0xd09", "Cortex-A73"),
    (b"0xd0a", "Cortex-A75"),
    (b"0xd0b", "Cortex-A76"),
    (b"0xd0c", "Neoverse-N1"),
    (b"0xd0d", "Cortex-A77"),
    (b"0xd40", "Neoverse-V1"),
    (b"0xd41", "Cortex-A78"),
    (b"0xd44", "Cortex-X1"),
    (b"0xd47", "Cortex-A710"),
    (b"0xd49", "Neoverse-N2"),
    (b"0xd4f", "Neoverse-V2"),
];

/// The processor's name: `model name` (x86, 32-bit ARM), `cpu model` with `system type` (MIPS),
/// `cpu` (POWER), the part number (64-bit ARM), or the board's `Hardware`.
pub fn parse_model(bytes: &[u8]) -> Option<String> {
    let find = |key: &[u8]| {
        scan::lines(bytes)
            .filter_map(|line| scan::pair(line, b':'))
            .find(|(name, value)| *name == key && !value.is_empty())
            .map(|(_, value)| clean(value))
    };
    if let Some(model) = find(b"model name") {
        return Some(model);
    }
    match (find(b"system type"), find(b"cpu model")) {
        (Some(system), Some(model)) => return Some(format!("{system}, {model}")),
        (None, Some(model)) | (Some(model), None) => return Some(model),
        (None, None) => {}
    }
    find(b"cpu").or_else(|| parse_arm(find(b"CPU part")?)).or_else(|| find(b"Hardware"))
}

fn parse_arm(part: String) -> Option<String> {
    let known = ARM_PARTS.iter().find(|(number, _)| *number == part.as_bytes());
    Some(known.map_or_else(|| format!("ARM part {part}"), |(_, name)| (*name).to_owned()))
}

/// Whether the processor says that it is a guest's.
pub fn is_hypervisor_guest(bytes: &[u8]) -> bool {
    scan::lines(bytes)
        .filter_map(|line| scan::pair(line, b':'))
        .find(|(name, _)| *name == b"flags")
        .is_some_and(|(_, flags)| scan::words(flags).any(|flag| flag == b"hypervisor"))
}

/// One blank between words, nothing that misleads a terminal.
fn clean(value: &[u8]) -> String {
    let value = scan::text(value);
    let words: Vec<&str> = value.split_whitespace().collect();
    let mut value = words.join(" ");
    value.retain(|c| !text::is_hostile(c));
    text::cut(&value, TEXT_MAX).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::fixture_test;
    use proptest::prelude::*;

    #[test]
    fn model_is_found_on_every_architecture() {
        let table = [
            (fixture_test::DEBIAN, "AMD Ryzen 5 3600 6-Core Processor"),
            (fixture_test::CENTOS, "Intel(R) Xeon(R) CPU E5405 @ 2.00GHz"),
            (fixture_test::OPENWRT, "MediaTek MT7621 ver:1 eco:3, MIPS 1004Kc V2.15"),
            (fixture_test::ARMBIAN, "Cortex-A72"),
        ];
        for (fixture, want) in table {
            let bytes = fixture_test::bytes(fixture, "proc/cpuinfo");
            assert_eq!(parse_model(&bytes).as_deref(), Some(want));
        }
        assert_eq!(parse_model(b"CPU part\t: 0xfff").as_deref(), Some("ARM part 0xfff"));
        assert_eq!(parse_model(b"cpu\t\t: POWER9, altivec").as_deref(), Some("POWER9, altivec"));
        assert_eq!(parse_model(b"Hardware\t: Allwinner sun8i").as_deref(), Some("Allwinner sun8i"));
        assert_eq!(parse_model(b""), None);
    }

    #[test]
    fn guest_is_known_by_its_flag() {
        assert!(is_hypervisor_guest(&fixture_test::bytes(fixture_test::CENTOS, "proc/cpuinfo")));
        assert!(!is_hypervisor_guest(&fixture_test::bytes(fixture_test::DEBIAN, "proc/cpuinfo")));
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_harmless_model(value in any::<Vec<u8>>()) {
            let bytes = [&b"model name : "[..], &value].concat();
            if let Some(model) = parse_model(&bytes) {
                prop_assert!(model.len() <= TEXT_MAX && !model.chars().any(text::is_hostile));
            }
        }
    }
}
