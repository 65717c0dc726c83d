//! The front over real sockets on loopback: what peers see of its limits.

mod http;
mod live;
mod rig;
mod storm;
