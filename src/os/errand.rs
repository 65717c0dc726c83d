//! Plugins whose runs wait for others, all in the agent's one wait: none of them holds up a
//! heartbeat, and none needs a thread.

use super::udp::{self, Sockets, Timer};
use super::{clock, runner::Plugins};
use crate::collect::{CollectError, Plugin};
use crate::time::{Mono, Now};
use std::os::fd::BorrowedFd;

/// The errands among an agent's plugins. They are the last ones: `first` is the number of the
/// first.
pub struct Errands {
    first: usize,
    slots: Vec<Slot>,
}

struct Slot {
    plugin: Box<dyn Plugin>,
    running: bool,
}

impl Errands {
    /// Takes them out of the list, from the first on.
    pub fn split_off(plugins: &mut Plugins) -> Errands {
        let first = plugins.iter_mut().position(|p| p.errand().is_some()).unwrap_or(plugins.len());
        let slot = |plugin| Slot { plugin, running: false };
        Errands { first, slots: plugins.split_off(first).into_iter().map(slot).collect() }
    }

    /// Begins a run with the next poll; false where this plugin is not one of them.
    pub fn start(&mut self, plugin: usize) -> bool {
        let Some(slot) = self.slot(plugin) else { return false };
        slot.running = true;
        true
    }

    /// Gives up a run; whether there was one.
    pub fn abandon(&mut self, plugin: usize) -> bool {
        let Some(slot) = self.slot(plugin) else { return false };
        if let Some(errand) = slot.plugin.errand() {
            errand.abandon();
        }
        std::mem::take(&mut slot.running)
    }

    /// Goes on with every run, as far as that is possible without waiting; what came of those that
    /// gave a sample or failed.
    pub fn poll(&mut self, now: Now) -> Vec<(usize, Result<String, String>)> {
        let mut results = Vec::new();
        for (place, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.running) {
            let mut data = String::new();
            let Some(errand) = slot.plugin.errand() else { continue };
            if let Some(result) = errand.advance(now, &mut data) {
                slot.running = errand.goes_on();
                results.push((self.first + place, result.map(|()| data).map_err(|e| e.0)));
            }
        }
        results
    }

    /// Adds what the runs wait for, and says when to poll at the latest; `None`: nothing runs.
    pub fn watch<'a>(&'a mut self, on: &mut Vec<BorrowedFd<'a>>) -> Option<Mono> {
        let running = self.slots.iter_mut().filter(|slot| slot.running);
        running.filter_map(|slot| slot.plugin.errand()).map(|errand| errand.watch(on)).min()
    }

    fn slot(&mut self, plugin: usize) -> Option<&mut Slot> {
        self.slots.get_mut(plugin.checked_sub(self.first)?)
    }
}

/// One run to its end, or to the first sample, waiting on this thread.
///
/// # Errors
/// Why there is no sample.
pub fn finish(plugin: &mut dyn Plugin, out: &mut String) -> Result<(), CollectError> {
    let mut timer = Timer::new().map_err(|error| CollectError(format!("no timer: {error}")))?;
    let limit = plugin.limit().unwrap_or_default();
    let Some(errand) = plugin.errand() else { return Ok(()) };
    let end = clock::now_awake().mono + limit;
    loop {
        let now = clock::now_awake();
        let result = errand.advance(now, out);
        if result.is_some() || end <= now.mono {
            errand.abandon();
            let late = || Err(CollectError(format!("timed out after {} s", limit.as_secs())));
            return result.unwrap_or_else(late);
        }
        let mut on = Vec::new();
        let until = errand.watch(&mut on).min(end);
        udp::wait(&Sockets::default(), &on, &mut timer, Some(until));
    }
}

#[cfg(test)]
#[path = "errand_test.rs"]
mod tests;
