//! The front over real sockets on loopback.
