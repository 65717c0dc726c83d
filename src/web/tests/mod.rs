//! The module from outside: requests in, responses out, over made-up fleets.

mod alert;
mod api;
mod deed;
mod form;
mod guard;
mod host_page;
mod kept;
mod live;
mod login;
mod page;
mod right;
mod row;
mod shown;
mod token;
