//! Accounts: password hashes, sessions and tokens, and how often somebody may try.
//!
//! Pure: secrets, times and addresses come as arguments, rows go out to be saved. Never hashes a
//! password by itself (`password` is called on a thread of its own), never knows what a user may do
//! with a host.

mod attempt;
mod book;
pub mod password;
mod row;

pub use attempt::{Attempts, Denied, PAUSE_S};
pub use book::{
    Book, Key, NewToken, Policy, Row, SessionNote, SessionShown, TokenShown, digest, stamp,
};
pub use row::Reach;
