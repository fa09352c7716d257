//! Any text, as it can be shown.

use std::borrow::Cow;

/// Text as XML and HTML have it.
pub(crate) fn escape(text: &str) -> String {
    let text = visible(text);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Text with its control characters as Rust writes them: XML has no place for most of them, and nobody
/// sees the others.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let is_hidden =
        |character: char| character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}');
    if !text.contains(is_hidden) {
        return text.into();
    }
    let mut shown = String::new();
    for character in text.chars() {
        if is_hidden(character) {
            shown.extend(character.escape_debug());
        } else {
            shown.push(character);
        }
    }
    shown.into()
}
