//! importwatch
fn main() {}
