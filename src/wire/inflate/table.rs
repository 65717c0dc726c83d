//! Bits of a stream, and the tables that turn them into symbols (RFC 1951, 3.2.2).
//!
//! Knows nothing of what the symbols mean.

/// Symbols in the largest alphabet.
pub(super) const SYMBOLS_MAX: usize = 288;

/// A symbol with the length of its code in bits 0 to 3; the bits above 5 are the alphabet's. 0 is
/// no code.
pub(super) type Entry = u32;

/// The symbols that are in use, with the lengths of their codes, in ascending order of symbols.
pub(super) struct Codes {
    used: [(u16, u8); SYMBOLS_MAX],
    pub len: usize,
    /// How many codes have each length.
    count: [u16; 16],
}

impl Codes {
    pub fn new() -> Codes {
        Codes { used: [(0, 0); SYMBOLS_MAX], len: 0, count: [0; 16] }
    }

    pub fn clear(&mut self) {
        self.len = 0;
        self.count = [0; 16];
    }

    /// `bits` is at most 15; 0 means that the symbol has no code.
    #[inline]
    pub fn push(&mut self, symbol: u16, bits: u8) {
        if bits > 0 {
            self.used[self.len] = (symbol, bits);
            self.len += 1;
            self.count[usize::from(bits)] += 1;
        }
    }
}

/// Symbols by the next bits of the stream.
pub(super) struct Table<const SIZE: usize> {
    entries: [Entry; SIZE],
    /// The length of the longest code; the entries from `1 << bits` on are not in use.
    bits: u32,
}

impl<const SIZE: usize> Table<SIZE> {
    pub fn new() -> Table<SIZE> {
        Table { entries: [0; SIZE], bits: 1 }
    }

    /// Gives each symbol its canonical code (RFC 1951, 3.2.2). `None` where the codes are no
    /// complete set, or too long.
    pub fn fill(&mut self, codes: &Codes, entry: impl Fn(u16) -> Entry) -> Option<()> {
        let used = &codes.used[..codes.len];
        if let [] | [(_, 1)] = used {
            // Distances alone may be so; a set of one literal cannot even end its block.
            let only = used.first().map_or(0, |(symbol, _)| entry(*symbol) | 1);
            self.entries[..2].copy_from_slice(&[only, 0]);
            self.bits = 1;
            return Some(());
        }
        let (mut next, mut sum, mut space, mut longest) = ([0; 16], 0, 0u32, 0);
        for (bits, count) in codes.count.iter().enumerate() {
            next[bits] = sum;
            sum += usize::from(*count);
            space += u32::from(*count) << (15 - bits);
            if *count > 0 {
                longest = bits;
            }
        }
        if space != 1 << 15 || 1 << longest > SIZE {
            return None;
        }
        let mut sorted = [0; SYMBOLS_MAX];
        for (symbol, bits) in used {
            let place = &mut next[usize::from(*bits)];
            sorted[*place] = *symbol;
            *place += 1;
        }
        self.place(&sorted[..used.len()], &codes.count[..=longest], entry);
        self.bits = longest as u32;
        Some(())
    }

    /// Writes the entries of a complete set: those of each length into a table of that many bits,
    /// which is then doubled for the next length.
    fn place(&mut self, sorted: &[u16], count: &[u16], entry: impl Fn(u16) -> Entry) {
        let mut symbols = sorted.iter();
        // The code with its first bit lowest, as the stream has it.
        let mut code = 0;
        for (bits, count) in count.iter().enumerate().skip(1) {
            let half = 1 << (bits - 1);
            self.entries.copy_within(..half, half);
            let ones = (1 << bits) - 1;
            for symbol in symbols.by_ref().take(usize::from(*count)) {
                self.entries[code] = entry(*symbol) | bits as Entry;
                // One more, with the carry running towards the lower bits.
                let Some(top) = (code ^ ones).checked_ilog2() else { return };
                code = (code & ((1 << top) - 1)) | (1 << top);
            }
        }
    }
}

/// The stream as bits, lowest first.
pub(super) struct Bits<'s> {
    bytes: &'s [u8],
    at: usize,
    /// The next `count` bits; what stands above them is nothing, or the bits that follow.
    held: u64,
    count: u32,
}

impl<'s> Bits<'s> {
    pub fn new(bytes: &'s [u8]) -> Bits<'s> {
        Bits { bytes, at: 0, held: 0, count: 0 }
    }

    /// Holds at least 56 bits, or all that are left.
    #[inline]
    pub fn refill(&mut self) {
        if let Some(word) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            self.held |= u64::from_le_bytes(*word) << self.count;
            self.at += (63 - self.count as usize) / 8;
            self.count |= 56;
            return;
        }
        while self.count < 56 {
            let Some(byte) = self.bytes.get(self.at) else { return };
            self.held |= u64::from(*byte) << self.count;
            self.at += 1;
            self.count += 8;
        }
    }

    /// The next `bits`, at most 13; `None` at the end of the stream.
    #[inline]
    pub fn take(&mut self, bits: u32) -> Option<u32> {
        let value = self.held as u32 & ((1 << bits) - 1);
        self.skip(bits)?;
        Some(value)
    }

    /// The entry of the next code.
    #[inline]
    pub fn code<const SIZE: usize>(&mut self, table: &Table<SIZE>) -> Option<Entry> {
        let index = self.held as usize & ((1 << table.bits) - 1);
        // The mask says what `bits` implies.
        let entry = table.entries[index & (SIZE - 1)];
        if entry == 0 {
            return None;
        }
        self.skip(entry & 15)?;
        Some(entry)
    }

    #[inline]
    fn skip(&mut self, bits: u32) -> Option<()> {
        self.count = self.count.checked_sub(bits)?;
        self.held >>= bits;
        Some(())
    }

    /// The whole bytes that follow.
    pub fn rest(&self) -> Option<&'s [u8]> {
        self.bytes.get(self.at - self.count as usize / 8..)
    }
}
