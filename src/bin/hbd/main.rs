#![allow(dead_code)]
mod gate;
mod pool;
mod ws;

fn main() {}
