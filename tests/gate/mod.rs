//! The front over real sockets on loopback: what peers see of its limits.

mod corpus;
mod http;
mod live;
mod rig;
mod storm;
