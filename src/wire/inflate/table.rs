//! Bits of a stream, and the tables that turn them into symbols (RFC 1951, 3.2.2).
//!
//! Knows nothing of what the symbols mean.

/// Symbols in the largest alphabet.
pub(super) const SYMBOLS_MAX: usize = 288;

/// A symbol with the length of its code in bits 0 to 3; the bits above 5 are the alphabet's. 0 is
/// no code.
pub(super) type Entry = u32;

/// A symbol in use and the length of its code, 1 to 15.
pub(super) type Used = (u16, u8);

/// Symbols by the next bits of the stream.
pub(super) struct Table<const SIZE: usize> {
    entries: [Entry; SIZE],
    /// As many ones as the longest code has bits; the entries above it are not in use.
    mask: usize,
}

impl<const SIZE: usize> Table<SIZE> {
    pub fn new() -> Table<SIZE> {
        Table { entries: [0; SIZE], mask: 1 }
    }

    /// Gives each symbol of `used`, which stand in ascending order, its canonical code (RFC 1951, 3.2.2).
    /// `None` where the codes are no complete set, or too long.
    pub fn fill(&mut self, used: &[Used], entry: impl Fn(u16) -> Entry) -> Option<()> {
        if let [] | [(_, 1)] = used {
            // Distances alone may be so; a set of one literal cannot even end its block.
            let only = used.first().map_or(0, |(symbol, _)| entry(*symbol) | 1);
            self.entries[..2].copy_from_slice(&[only, 0]);
            self.mask = 1;
            return Some(());
        }
        let mut count = [0u16; 16];
        for (_, bits) in used {
            let count = &mut count[usize::from(*bits & 15)];
            *count = count.wrapping_add(1);
        }
        let (mut next, mut sum, mut space, mut longest) = ([0u16; 16], 0, 0u32, 0);
        for bits in 1..16 {
            next[bits] = sum;
            sum += count[bits];
            space += u32::from(count[bits]) << (15 - bits);
            if count[bits] > 0 {
                longest = bits;
            }
        }
        if space != 1 << 15 || 1 << longest > SIZE {
            return None;
        }
        let mut sorted = [0; SYMBOLS_MAX];
        for (symbol, bits) in used {
            let place = &mut next[usize::from(*bits & 15)];
            *sorted.get_mut(usize::from(*place))? = *symbol;
            *place = place.wrapping_add(1);
        }
        self.place(sorted.get(..used.len())?, &count[..=longest], entry);
        self.mask = (1 << longest) - 1;
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

/// The stream as bits, lowest first. It has to be followed by `PADDING` bytes of zero, so that nothing but
/// `refill` has to look for its end: who reads past it finds zeros, and is found out by `end`.
pub(super) struct Bits<'s> {
    padded: &'s [u8],
    at: usize,
    /// The next `count` bits; what stands above them is nothing, or the bits that follow.
    held: u64,
    count: u32,
}

/// Two words: the one that holds the last bit, and the one that is read ahead of it.
pub(super) const PADDING: usize = 16;

impl<'s> Bits<'s> {
    pub fn new(padded: &'s [u8]) -> Bits<'s> {
        Bits { padded, at: 0, held: 0, count: 0 }
    }

    /// Holds at least 56 bits; what is taken before the next call may be no more. `None` far behind the end.
    #[inline(always)]
    pub fn refill(&mut self) -> Option<()> {
        let word = self.padded.get(self.at..)?.first_chunk::<8>()?;
        self.held |= u64::from_le_bytes(*word).wrapping_shl(self.count);
        self.at = self.at.wrapping_add((63 ^ self.count as usize) / 8);
        self.count |= 56;
        Some(())
    }

    /// The next `bits`, at most 13.
    #[inline(always)]
    pub fn take(&mut self, bits: u32) -> u32 {
        let value = self.held as u32 & (1u32.wrapping_shl(bits).wrapping_sub(1));
        self.skip(bits);
        value
    }

    /// The entry of the next code; 0 where there is no such code.
    #[inline(always)]
    pub fn code<const SIZE: usize>(&mut self, table: &Table<SIZE>) -> Entry {
        // The second mask says what the first implies.
        let entry = table.entries[self.held as usize & table.mask & (SIZE - 1)];
        self.skip(entry & 15);
        entry
    }

    #[inline(always)]
    fn skip(&mut self, bits: u32) {
        self.count = self.count.wrapping_sub(bits);
        self.held = self.held.wrapping_shr(bits);
    }

    /// How many bytes of the stream have been taken, the last one perhaps in part.
    pub fn end(&self) -> usize {
        self.at - self.count as usize / 8
    }
}
