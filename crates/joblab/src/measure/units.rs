//! Numbers as people read them.

/// The unit in which a time reads best, and how many of it a second has.
pub(crate) fn unit_of(seconds: f64) -> (&'static str, f64) {
    match seconds {
        time if time >= 120.0 => ("min", 1.0 / 60.0),
        time if time >= 0.5 => ("s", 1.0),
        time if time >= 0.5e-3 => ("ms", 1e3),
        _ => ("µs", 1e6),
    }
}

/// Three digits: as many as a figure can show.
pub(crate) fn number(value: f64) -> String {
    format!("{value:.0$}", decimals(value))
}

/// Two digits, where there is no room for three.
#[cfg(feature = "figures")]
pub(crate) fn two_digits(value: f64) -> String {
    format!("{value:.0$}", decimals(value).saturating_sub(1))
}

/// Three digits, without zeros at their end.
pub(crate) fn short(value: f64) -> String {
    let scale = 10_f64.powi(decimals(value) as i32);
    format!("{}", (value * scale).round() / scale)
}

fn decimals(value: f64) -> usize {
    match value.abs() {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    }
}

/// A time in the unit in which it reads best.
pub(crate) fn time(seconds: f64) -> String {
    // `unit_of` changes at half a unit, a time alone at a whole one.
    let (unit, scale) = unit_of(seconds / 1.99);
    format!("{} {unit}", short(seconds * scale))
}

/// A number of bytes with a decimal prefix.
pub(crate) fn bytes(size: f64) -> String {
    let (prefix, scale) = match size {
        size if size >= 1e9 => ("G", 1e9),
        size if size >= 1e6 => ("M", 1e6),
        size if size >= 1e3 => ("k", 1e3),
        _ => ("", 1.0),
    };
    format!("{} {prefix}B", short(size / scale))
}
