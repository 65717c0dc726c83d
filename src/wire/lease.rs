//! A vector of leaves that is reused from one datagram to the next, so that none is allocated per
//! datagram.

use super::message::Leaf;

/// Keeps the allocation of a `Vec<Leaf>`; the leaves in it live only as long as one lease.
#[derive(Default)]
pub(super) struct LeafLease(Vec<Leaf<'static>>);

impl LeafLease {
    /// The vector, empty, for leaves that borrow for `'a`.
    pub fn lease<'a>(&'a mut self) -> &'a mut Vec<Leaf<'a>> {
        self.0.clear();
        let leaves: *mut Vec<Leaf<'static>> = &mut self.0;
        // SAFETY: the two types differ in a lifetime only, so their layout is the same. Leaves of
        // the shorter lifetime stay behind when the lease ends, but nothing reads them as
        // `'static`: the field is private, this is its only reader, it clears first, and `Leaf` is
        // `Copy` (no drop).
        unsafe { &mut *leaves.cast::<Vec<Leaf<'a>>>() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::LeafValue;
    use super::*;

    #[test]
    fn lease_taken_again_is_empty_and_keeps_its_room() {
        let mut lease = LeafLease::default();
        {
            let path = String::from("a.b");
            let leaves = lease.lease();
            leaves.push(Leaf { path: &path, value: LeafValue::Text(&path) });
            assert_eq!(leaves[0].path, "a.b");
        }
        let leaves = lease.lease();
        assert!(leaves.is_empty() && leaves.capacity() > 0);
    }
}
