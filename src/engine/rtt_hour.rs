//! The round trips of a host's last hour, minute by minute. Pure data: who measures and who draws stand elsewhere.

use crate::time::Wall;

/// Round trips of the last hour, one slot a minute: the mean of that minute, NaN where nothing came.
#[derive(Clone, Debug, PartialEq)]
pub struct RttHour {
    pub slots: [f32; RttHour::SLOTS],
    /// Minutes since 1970 of the newest slot; slot of minute `m` is `m % SLOTS`.
    pub newest_minute: i64,
}

impl RttHour {
    pub const SLOTS: usize = 60;

    /// Oldest first, ending at the minute of `now`; `None` is a gap.
    pub fn series(&self, now: Wall) -> [Option<f32>; RttHour::SLOTS] {
        let last = now.as_secs().div_euclid(60);
        let oldest_known = self.newest_minute - (RttHour::SLOTS as i64 - 1);
        std::array::from_fn(|i| {
            let minute = last - (RttHour::SLOTS as i64 - 1) + i as i64;
            if minute < oldest_known || minute > self.newest_minute {
                return None;
            }
            let value = self.slots[minute.rem_euclid(RttHour::SLOTS as i64) as usize];
            value.is_finite().then_some(value)
        })
    }
}
