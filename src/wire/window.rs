//! Which numbers were seen: the replay window of both sides (PROTOCOL C4, C5).

/// The last 64 numbers. What is older counts as seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    top: u64,
    /// Bit `i`: number `top - i` was seen.
    seen: u64,
}

impl Window {
    const WIDTH: u64 = 64;

    /// A window that has seen this number and takes none that is 64 or more below it.
    pub fn starting_with(seq: u64) -> Window {
        Window { top: seq, seen: 1 }
    }

    /// The highest number that was taken; 0 where there was none.
    pub fn top(&self) -> u64 {
        self.top
    }

    /// Takes a number once: `false` where it was taken before, or is too old to tell. 0 is no number.
    #[must_use]
    pub fn take(&mut self, seq: u64) -> bool {
        if seq > self.top {
            let step = seq - self.top;
            self.seen = if step >= Self::WIDTH { 0 } else { self.seen << step } | 1;
            self.top = seq;
            return true;
        }
        let back = self.top - seq;
        if seq == 0 || back >= Self::WIDTH || self.seen >> back & 1 == 1 {
            return false;
        }
        self.seen |= 1 << back;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn u2_window_takes_each_number_once_and_none_that_is_64_behind() {
        let mut window = Window::default();
        assert!(!window.take(0));
        assert!(window.take(1) && !window.take(1));
        assert!(window.take(100) && window.take(37) && !window.take(36) && !window.take(37));
        assert!(window.take(1000) && !window.take(100));
        assert_eq!(window.top(), 1000);
        let mut window = Window::starting_with(5);
        assert!(!window.take(5) && window.take(4) && window.take(69) && !window.take(5));
    }

    proptest! {
        #[test]
        fn u2_window_is_a_set_that_forgets_nothing(
            seqs in proptest::collection::vec(1u64..200, 0..300),
        ) {
            let (mut window, mut taken) = (Window::default(), BTreeSet::new());
            for seq in seqs {
                let top = taken.last().copied().unwrap_or(0);
                let fresh = !taken.contains(&seq) && seq + 63 >= top;
                prop_assert_eq!(window.take(seq), fresh, "{}", seq);
                if fresh {
                    taken.insert(seq);
                }
            }
        }
    }
}
