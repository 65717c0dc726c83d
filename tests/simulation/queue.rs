//! What will happen in virtual time, in order; of what is due at the same moment, what was put in first comes first.

use heartbeat::time::Mono;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

pub struct Queue<T> {
    order: BinaryHeap<Reverse<(Mono, u64)>>,
    items: BTreeMap<u64, T>,
    last: u64,
}

impl<T> Queue<T> {
    pub fn new() -> Queue<T> {
        Queue { order: BinaryHeap::new(), items: BTreeMap::new(), last: 0 }
    }

    pub fn push(&mut self, at: Mono, item: T) {
        self.last += 1;
        self.order.push(Reverse((at, self.last)));
        self.items.insert(self.last, item);
    }

    pub fn next_time(&self) -> Option<Mono> {
        self.order.peek().map(|Reverse((at, _))| *at)
    }

    /// What is due by then.
    pub fn pop_due(&mut self, now: Mono) -> Option<T> {
        if self.next_time()? > now {
            return None;
        }
        let Reverse((_, id)) = self.order.pop()?;
        self.items.remove(&id)
    }
}
