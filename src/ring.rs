//! A history of bounded length: the newest push out the oldest.

use std::collections::VecDeque;

#[derive(Clone, Debug)]
pub struct Ring<T> {
    items: VecDeque<T>,
    items_max: usize,
}

impl<T> Ring<T> {
    pub fn new(items_max: usize) -> Ring<T> {
        Ring { items: VecDeque::new(), items_max }
    }

    /// Adds the newest; returns what had to go for it.
    pub fn push(&mut self, item: T) -> Option<T> {
        let evicted =
            if self.items.len() >= self.items_max { self.items.pop_front() } else { None };
        self.items.push_back(item);
        evicted
    }

    pub fn pop_oldest(&mut self) -> Option<T> {
        self.items.pop_front()
    }

    pub fn newest(&self) -> Option<&T> {
        self.items.back()
    }

    pub fn newest_mut(&mut self) -> Option<&mut T> {
        self.items.back_mut()
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.items.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_at_its_limit_gives_back_the_oldest() {
        let mut ring = Ring::new(2);
        assert_eq!((ring.push(1), ring.push(2), ring.push(3)), (None, None, Some(1)));
        assert_eq!(ring.iter().copied().collect::<Vec<_>>(), [2, 3]);
        assert_eq!((ring.newest(), ring.len()), (Some(&3), 2));
    }
}
