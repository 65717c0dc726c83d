//! The module from outside: requests in, responses out, over made-up fleets.

mod api;
mod guard;
mod page;
mod token;
