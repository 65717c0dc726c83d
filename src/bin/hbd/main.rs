mod fault;
mod store;
mod udp;
fn main() {}
