//! The module from outside: requests in, responses out, over made-up fleets.

mod alert;
mod api;
mod form;
mod guard;
mod kept;
mod live;
mod page;
mod right;
mod shown;
mod token;
