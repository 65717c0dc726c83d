mod gate;

fn main() {}
