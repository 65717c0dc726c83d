//! HTTP as a function: `respond(&Context, &Request) -> Response`. Routes, API, pages, live frames; no sockets.

pub mod host;
mod http;
pub mod live;

pub use http::{Body, Method, Peer, Request, Response};
