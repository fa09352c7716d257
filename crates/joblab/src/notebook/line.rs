//! A list of any values in one line of text.

use std::fmt::{self, Debug, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::text::visible;

/// As many characters as a line has.
const WIDTH: usize = 72;
/// After so many bytes a value is stopped: no `Debug` of a reasonable length is.
const ENOUGH: usize = 4 << 20;
/// Of longer lists, nobody looks whether all values are equal.
const LONG: usize = 100_000;

/// The values as `[a, b, c]`; where that is too long, equal ones as `[a; n]`, and others up to the end
/// of the line.
pub(super) fn of_list<'v>(length: usize, value: &dyn Fn(usize) -> &'v dyn Debug) -> String {
    let mut line = String::from("[");
    for place in 0..length {
        if place > 0 {
            line += ", ";
        }
        line += &of_value(value(place)).text;
        if line.chars().count() >= WIDTH {
            return equal(length, value).unwrap_or_else(|| cut(&line));
        }
    }
    line + "]"
}

/// The values as `[a; n]`, if they are equal as far as one can see.
fn equal<'v>(length: usize, value: &dyn Fn(usize) -> &'v dyn Debug) -> Option<String> {
    let first = of_value(value(0));
    let is_equal = |place| {
        let other = of_value(value(place));
        other.is_whole && other.text == first.text
    };
    let line = format!("[{}; {length}]", first.text);
    let fits = first.is_whole && line.chars().count() <= WIDTH && length <= LONG;
    (fits && (1..length).all(is_equal)).then_some(line)
}

fn cut(line: &str) -> String {
    line.chars().take(WIDTH).chain(['…']).collect()
}

/// The beginning of a value, as long as a line.
fn of_value(value: &dyn Debug) -> Head {
    let mut head = Head { text: String::new(), characters: 0, bytes: 0, is_whole: true };
    // The value's own code may panic.
    match catch_unwind(AssertUnwindSafe(|| write!(head, "{value:?}"))) {
        Ok(Ok(())) => {}
        Ok(Err(fmt::Error)) => head.is_whole = false,
        Err(payload) => {
            head.is_whole = false;
            let message = crate::error::panic_message(payload);
            head.text = visible(&format!("<its Debug panicked: {message}>")).into_owned();
        }
    }
    head
}

/// Keeps what is written first, and takes the rest: a `Debug` may take an error for a fault.
struct Head {
    text: String,
    characters: usize,
    bytes: usize,
    is_whole: bool,
}

impl Write for Head {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes += text.len();
        for character in text.chars() {
            if self.characters > WIDTH {
                self.is_whole = false;
                break;
            }
            self.characters += 1;
            self.text += &visible(character.encode_utf8(&mut [0; 4]));
        }
        if self.bytes > ENOUGH { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<T: Debug>(values: &[T]) -> String {
        of_list(values.len(), &|place| &values[place])
    }

    #[test]
    fn a_short_list_is_shown_as_it_is() {
        assert_eq!(line::<u8>(&[]), "[]");
        assert_eq!(line(&[Some(1), None]), "[Some(1), None]");
        assert_eq!(line(&["a\nb"; 2]), "[\"a\\nb\", \"a\\nb\"]");
    }

    #[test]
    fn a_long_list_is_cut_and_equal_values_are_counted() {
        assert_eq!(line(&[1250.0; 12]), "[1250.0; 12]");
        assert_eq!(line(&[(); 100_000]), "[(); 100000]");
        let numbers: Vec<u64> = (0..1_000).collect();
        let cut = line(&numbers);
        assert!(cut.starts_with("[0, 1, 2,") && cut.ends_with('…'), "{cut}");
        assert_eq!(cut.chars().count(), WIDTH + 1);
        // Equal only as far as one can see.
        let mut long = vec!["x".repeat(200); 3];
        long[2] += "y";
        assert_eq!(line(&long), format!("[\"{}…", "x".repeat(70)));
        let mut last = vec![1250.0; 12];
        last[11] = 1251.0;
        assert!(line(&last).ends_with('…'));
    }

    #[test]
    fn any_debug_is_shown() {
        struct Unwraps;
        impl Debug for Unwraps {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for _ in 0..1_000 {
                    f.write_str("unwrapped ").unwrap();
                }
                Ok(())
            }
        }
        assert!(line(&[Unwraps]).starts_with("[unwrapped unwrapped "));

        struct Panics;
        impl Debug for Panics {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half of it")?;
                panic!("no \x1b[1mDebug")
            }
        }
        assert_eq!(line(&[Panics]), r"[<its Debug panicked: no \u{1b}[1mDebug>]");

        struct Endless;
        impl Debug for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("on and on ")?;
                }
            }
        }
        assert!(line(&[Endless]).starts_with("[on and on "));

        struct Coloured;
        impl Debug for Coloured {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\x1b[31mred\x1b[0m\0\r\n<é>")
            }
        }
        assert_eq!(line(&[Coloured]), r"[\u{1b}[31mred\u{1b}[0m\0\r\n<é>]");
    }
}
