//! A column of numbers as bits: whole numbers by their differences, others by their digits.
//!
//! Measured values have few decimals: as whole numbers of hundredths they differ little from one to the next, and
//! Rice's code spends about as many bits on a difference as it is long. What has no few decimals is kept by what
//! its bits share with those before. Every number comes back to the bit.

use super::bits::{BitReader, BitWriter, unzigzag, zigzag};

/// Most decimals that are tried.
const DECIMALS_MAX: u32 = 9;
/// In the place of a number of decimals: a column of bit patterns.
const PATTERNS: u64 = 15;
/// Whole numbers up to here are exact in an `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// A quotient this long is written as the whole number instead.
const UNARY_MAX: u64 = 24;

/// How a row of whole numbers is foretold.
#[derive(Clone, Copy, PartialEq)]
enum Foretold {
    /// All are like the first.
    Alike = 0,
    /// Each is like the one before.
    Level = 1,
    /// The difference stays.
    Slope = 2,
    /// Each is near zero.
    Zero = 3,
}

/// Whole numbers. Differences must not overflow: none may be beyond 2^61.
pub fn encode_whole(bits: &mut BitWriter, values: &[i64]) {
    let Some((&first, rest)) = values.split_first() else { return };
    push_long(bits, zigzag(first));
    if rest.is_empty() {
        return;
    }
    if rest.iter().all(|value| *value == first) {
        return bits.push(Foretold::Alike as u64, 2);
    }
    let mut best = plan(values, Foretold::Level);
    for way in [Foretold::Slope, Foretold::Zero] {
        let other = plan(values, way);
        if other.cost < best.cost {
            best = other;
        }
    }
    bits.push(best.way as u64, 2);
    bits.push(u64::from(best.k), 6);
    if best.way == Foretold::Slope {
        push_long(bits, zigzag(values[1].wrapping_sub(first)));
    }
    for error in errors(values, best.way) {
        push_rice(bits, error, best.k);
    }
}

/// A number with its length before it: what stands once.
fn push_long(bits: &mut BitWriter, code: u64) {
    let len = 64 - code.leading_zeros();
    bits.push(u64::from(len), 7);
    bits.push(code, len);
}

fn take_long(bits: &mut BitReader<'_>) -> Option<u64> {
    let len = bits.take(7).filter(|len| *len <= 64)?;
    bits.take(len as u32)
}

/// A way to write a row, and what it costs in bits.
struct Plan {
    way: Foretold,
    k: u32,
    cost: u64,
}

/// The parameter that suits the mean, or a smaller one where a few large errors make the mean.
fn plan(values: &[i64], way: Foretold) -> Plan {
    let (sum, count) =
        errors(values, way).fold((0u64, 0u64), |(s, n), e| (s.saturating_add(e), n + 1));
    let most = parameter(sum, count);
    let once = if way == Foretold::Slope { 40 } else { 0 };
    let of = |k| Plan { way, k, cost: once + errors(values, way).map(|e| cost(e, k)).sum::<u64>() };
    let mut best = of(most);
    for k in (most.saturating_sub(3)..most).rev() {
        let other = of(k);
        if other.cost >= best.cost {
            break;
        }
        best = other;
    }
    best
}

/// How far each number is from what was foretold; but the first, and with a slope the second, which stand there
/// themselves.
fn errors(values: &[i64], way: Foretold) -> impl Iterator<Item = u64> + '_ {
    let from = if way == Foretold::Slope { 2 } else { 1 };
    (from..values.len()).map(move |i| {
        let foretold = foretell(way, values[i - 1], i.checked_sub(2).map(|i| values[i]));
        zigzag(values[i].wrapping_sub(foretold))
    })
}

fn foretell(way: Foretold, last: i64, before: Option<i64>) -> i64 {
    match (way, before) {
        (Foretold::Zero, _) => 0,
        (Foretold::Slope, Some(before)) => last.wrapping_mul(2).wrapping_sub(before),
        _ => last,
    }
}

/// Rice's parameter for numbers of this mean.
fn parameter(sum: u64, count: u64) -> u32 {
    let mean = sum / count.max(1);
    // Errors of nearly 2^64 would ask for all 64 bits, and a shift by 64 is none.
    (64 - (mean / 2 + mean / 4).leading_zeros()).min(63)
}

fn cost(value: u64, k: u32) -> u64 {
    match value >> k {
        quotient if quotient < UNARY_MAX => quotient + 1 + u64::from(k),
        _ => UNARY_MAX + 64,
    }
}

fn push_rice(bits: &mut BitWriter, value: u64, k: u32) {
    let quotient = value >> k;
    if quotient < UNARY_MAX {
        bits.push((1 << (quotient + 1)) - 2, quotient as u32 + 1);
        bits.push(value, k);
    } else {
        bits.push((1 << UNARY_MAX) - 1, UNARY_MAX as u32);
        bits.push(value, 64);
    }
}

fn take_rice(bits: &mut BitReader<'_>, k: u32) -> Option<u64> {
    let mut quotient = 0;
    while quotient < UNARY_MAX && bits.bit()? {
        quotient += 1;
    }
    if quotient == UNARY_MAX {
        return bits.take(64);
    }
    let rest = bits.take(k)?;
    quotient.checked_shl(k).filter(|high| high >> k == quotient).map(|high| high | rest)
}

/// `count` whole numbers; `None` where the bits are none that [`encode_whole`] writes.
pub fn decode_whole(bits: &mut BitReader<'_>, count: usize) -> Option<Vec<i64>> {
    let mut values = Vec::new();
    if count == 0 {
        return Some(values);
    }
    values.push(unzigzag(take_long(bits)?));
    if count == 1 {
        return Some(values);
    }
    let way = match bits.take(2)? {
        0 => Foretold::Alike,
        1 => Foretold::Level,
        2 => Foretold::Slope,
        _ => Foretold::Zero,
    };
    if way == Foretold::Alike {
        values.resize(count, values[0]);
        return Some(values);
    }
    let k = bits.take(6)? as u32;
    if way == Foretold::Slope {
        values.push(values[0].wrapping_add(unzigzag(take_long(bits)?)));
    }
    for i in values.len()..count {
        let foretold = foretell(way, values[i - 1], i.checked_sub(2).map(|i| values[i]));
        values.push(foretold.wrapping_add(unzigzag(take_rice(bits, k)?)));
    }
    Some(values)
}

/// The decimals with which every one of the values is exact; `None` where nine are not enough.
pub fn decimals(values: &[f64]) -> Option<u32> {
    values.iter().try_fold(0, |most, value| {
        (most..=DECIMALS_MAX).find(|decimals| scaled(*value, *decimals).is_some())
    })
}

/// The value as a whole number of its last decimal, where it is exactly that.
fn scaled(value: f64, decimals: u32) -> Option<i64> {
    let scale = POWERS[decimals as usize];
    let rounded = (value * scale).round();
    // By way of the whole number, which has no negative zero.
    let whole = rounded as i64;
    let exact = rounded.abs() < EXACT && (whole as f64 / scale).to_bits() == value.to_bits();
    exact.then_some(whole)
}

const POWERS: [f64; DECIMALS_MAX as usize + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Any numbers.
pub fn encode(bits: &mut BitWriter, values: &[f64]) {
    let whole = decimals(values).and_then(|decimals| {
        let whole: Option<Vec<i64>> = values.iter().map(|v| scaled(*v, decimals)).collect();
        Some((decimals, whole?))
    });
    match whole {
        Some((decimals, whole)) => {
            bits.push(u64::from(decimals), 4);
            encode_whole(bits, &whole);
        }
        None => {
            bits.push(PATTERNS, 4);
            encode_patterns(bits, values);
        }
    }
}

/// `count` numbers; `None` where the bits are none that [`encode`] writes.
pub fn decode(bits: &mut BitReader<'_>, count: usize) -> Option<Vec<f64>> {
    match bits.take(4)? {
        PATTERNS => decode_patterns(bits, count),
        decimals => {
            let scale = POWERS.get(decimals as usize)?;
            let whole = decode_whole(bits, count)?;
            Some(whole.into_iter().map(|whole| whole as f64 / scale).collect())
        }
    }
}

fn encode_patterns(bits: &mut BitWriter, values: &[f64]) {
    let mut last = 0;
    for value in values {
        let pattern = value.to_bits();
        let changed = pattern ^ last;
        last = pattern;
        if changed == 0 {
            bits.push(0, 1);
            continue;
        }
        let (lead, trail) = (changed.leading_zeros(), changed.trailing_zeros());
        let len = 64 - lead - trail;
        bits.push(1, 1);
        bits.push(u64::from(lead), 6);
        bits.push(u64::from(len - 1), 6);
        bits.push(changed >> trail, len);
    }
}

fn decode_patterns(bits: &mut BitReader<'_>, count: usize) -> Option<Vec<f64>> {
    let mut values = Vec::new();
    let mut last = 0u64;
    for _ in 0..count {
        if bits.bit()? {
            let lead = bits.take(6)? as u32;
            let len = bits.take(6)? as u32 + 1;
            let trail = 64u32.checked_sub(lead + len)?;
            last ^= bits.take(len)? << trail;
        }
        values.push(f64::from_bits(last));
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn through(values: &[f64]) -> (Vec<f64>, usize) {
        let mut bits = BitWriter::default();
        encode(&mut bits, values);
        let bytes = bits.finish();
        let mut reader = BitReader::new(&bytes);
        let back = decode(&mut reader, values.len()).expect("what was written");
        assert_eq!(reader.rest(), Some(&[][..]));
        (back, bytes.len())
    }

    fn patterns(values: &[f64]) -> Vec<u64> {
        values.iter().map(|v| v.to_bits()).collect()
    }

    #[test]
    fn measured_values_take_few_bits() {
        let alike = vec![61.4; 120];
        assert_eq!(through(&alike).1, 3);
        let counter: Vec<f64> = (0..120).map(|i| 5e9 + f64::from(i) * 1500.0).collect();
        assert!(through(&counter).1 < 40, "{}", through(&counter).1);
        let percent: Vec<f64> = (0..120).map(|i| f64::from(i * 7919 % 97) / 10.0).collect();
        assert!(through(&percent).1 < 130, "{}", through(&percent).1);
    }

    #[test]
    fn odd_numbers_come_back_to_the_bit() {
        let odd = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, 1e300, -1.5, 1.0 / 3.0];
        assert_eq!(patterns(&through(&odd).0), patterns(&odd));
        for value in odd {
            assert_eq!(patterns(&through(&[value]).0), [value.to_bits()]);
        }
    }

    #[test]
    fn errors_of_nearly_all_bits_come_back() {
        let values = vec![0, -2_142_822_238_333_720_515, 1_863_270_214_569_076_176];
        let mut bits = BitWriter::default();
        encode_whole(&mut bits, &values);
        let bytes = bits.finish();
        assert_eq!(decode_whole(&mut BitReader::new(&bytes), values.len()), Some(values));
    }

    fn any_values() -> impl Strategy<Value = Vec<f64>> {
        let decimal = (any::<i32>(), 0u32..10).prop_map(|(n, d)| f64::from(n) / POWERS[d as usize]);
        prop_oneof![
            prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 1..40),
            prop::collection::vec(decimal, 1..200),
            prop::collection::vec((-99i32..99).prop_map(|n| f64::from(n) / 10.0), 1..200),
        ]
    }

    proptest! {
        #[test]
        fn numbers_come_back_to_the_bit(values in any_values()) {
            prop_assert_eq!(patterns(&through(&values).0), patterns(&values));
        }

        #[test]
        fn whole_numbers_come_back(values in prop::collection::vec(-(1i64 << 61)..1 << 61, 0..60)) {
            let mut bits = BitWriter::default();
            encode_whole(&mut bits, &values);
            let bytes = bits.finish();
            let mut reader = BitReader::new(&bytes);
            prop_assert_eq!(decode_whole(&mut reader, values.len()), Some(values));
        }

        #[test]
        fn any_bits_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), n in 0usize..500) {
            let _ = decode(&mut BitReader::new(&bytes), n);
        }
    }
}
