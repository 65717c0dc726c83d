mod bind;
mod engine;
mod fault;
mod gate;
mod owner;
mod shared;
mod store;
mod systemd;
mod udp;

fn main() {}
