//! The lines of the table.

/// Prints a line of the table.
pub(crate) fn line(what: &str, measured: &str, target: &str) {
    println!("{what:<68} {measured:>9}  {target}");
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn ratio(of: u128, to: u128) -> f64 {
    of as f64 / to as f64
}
