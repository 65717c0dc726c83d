//! Behaviour of the calendar as its owner sees it.
