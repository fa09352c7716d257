//! The words and marks of a Rust file, without comments and without what literals say.

use std::iter::Peekable;
use std::str::Chars;

/// As much of Rust's tokens as paths need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// An identifier or a keyword.
    Word(String),
    /// `::`
    PathSeparator,
    /// Any other character that is no space.
    Mark(char),
}

impl Token {
    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn is(&self, mark: char) -> bool {
        *self == Self::Mark(mark)
    }
}

pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '/' if rest.next_if_eq(&'/').is_some() => skip_past(&mut rest, '\n'),
            '/' if rest.next_if_eq(&'*').is_some() => skip_block_comment(&mut rest),
            '"' => skip_string(&mut rest),
            '\'' => skip_character_or_lifetime(&mut rest),
            ':' if rest.next_if_eq(&':').is_some() => tokens.push(Token::PathSeparator),
            _ if is_in_word(next) => {
                let mut word = String::from(next);
                while let Some(more) = rest.next_if(|&it| is_in_word(it)) {
                    word.push(more);
                }
                if matches!(word.as_str(), "r" | "br" | "cr") && skip_raw_string(&mut rest) {
                    continue;
                }
                tokens.push(Token::Word(word));
            }
            _ if next.is_whitespace() => {}
            _ => tokens.push(Token::Mark(next)),
        }
    }
    tokens
}

/// Numbers are words too; no path begins with one.
fn is_in_word(it: char) -> bool {
    it == '_' || it.is_alphanumeric()
}

fn skip_past(rest: &mut Peekable<Chars<'_>>, end: char) {
    rest.find(|&it| it == end);
}

fn skip_block_comment(rest: &mut Peekable<Chars<'_>>) {
    let mut depth = 1;
    while depth > 0 {
        match rest.next() {
            Some('*') if rest.next_if_eq(&'/').is_some() => depth -= 1,
            Some('/') if rest.next_if_eq(&'*').is_some() => depth += 1,
            Some(_) => {}
            None => return,
        }
    }
}

fn skip_string(rest: &mut Peekable<Chars<'_>>) {
    while let Some(next) = rest.next() {
        match next {
            '"' => return,
            '\\' => drop(rest.next()),
            _ => {}
        }
    }
}

/// Behind `r` there is a raw string, or the `#` of a raw identifier; says whether it was a string.
fn skip_raw_string(rest: &mut Peekable<Chars<'_>>) -> bool {
    let mut ahead = rest.clone();
    let mut hashes = 0;
    while ahead.next_if_eq(&'#').is_some() {
        hashes += 1;
    }
    if ahead.next() != Some('"') {
        return false;
    }
    loop {
        skip_past(&mut ahead, '"');
        let mut found = 0;
        while found < hashes && ahead.next_if_eq(&'#').is_some() {
            found += 1;
        }
        if found == hashes || ahead.peek().is_none() {
            *rest = ahead;
            return true;
        }
    }
}

fn skip_character_or_lifetime(rest: &mut Peekable<Chars<'_>>) {
    match rest.next() {
        Some('\\') => {
            rest.next();
            skip_past(rest, '\'');
        }
        // Without a second mark it was the first letter of a lifetime.
        Some(_) if rest.next_if_eq(&'\'').is_none() => {
            while rest.next_if(|&it| is_in_word(it)).is_some() {}
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_comments_leave_nothing() {
        let words = |text| {
            let words = tokens(text).into_iter();
            words.filter_map(|token| token.word().map(str::to_owned)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words("a /* b /* c */ d */ e // f\ng"), "a e g");
        assert_eq!(words(r##"a "b \" c" r"d \" e r#"f " g"# h"##), "a e h");
        assert_eq!(words(r##"a b"c" br#"d"# e"##), "a b e");
        assert_eq!(words(r"a 'b' '\'' '\u{62}' '\n' c &'d e"), "a c e");
        assert_eq!(words("fn f<'a>(x: &'a T) 'l: loop"), "fn f x T loop");
    }

    #[test]
    fn a_path_separator_is_one_token() {
        let word = |it: &str| Token::Word(it.to_owned());
        assert_eq!(tokens("a::b"), [word("a"), Token::PathSeparator, word("b")]);
        assert_eq!(tokens("a: b"), [word("a"), Token::Mark(':'), word("b")]);
    }
}
