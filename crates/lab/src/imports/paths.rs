//! The paths that a file names outside of its tests.

use super::tokens::{Token, tokens};

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Source {
    pub(super) paths: Vec<Named>,
    /// Children that are compiled for tests only.
    pub(super) test_modules: Vec<String>,
}

/// A path, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The modules in the file around it, from the outside in.
    pub(super) inside: Vec<String>,
    pub(super) segments: Vec<String>,
    /// The name that a `pub use` gives to what it exports.
    pub(super) exported_as: Option<String>,
}

/// Reads a file.
pub(super) fn read(text: &str) -> Source {
    let mut reader = Reader {
        tokens: tokens(text),
        at: 0,
        depth: 0,
        inside: Vec::new(),
        macro_end: 0,
        found: Source::default(),
    };
    while reader.at < reader.tokens.len() {
        reader.step();
    }
    reader.found
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
    /// Of braces.
    depth: usize,
    /// The modules around, each with the depth of its braces.
    inside: Vec<(String, usize)>,
    /// Where the macro ends that is being defined.
    macro_end: usize,
    found: Source,
}

impl Reader {
    fn word(&self, ahead: usize) -> Option<&str> {
        self.tokens.get(self.at + ahead)?.word()
    }

    fn is(&self, ahead: usize, mark: char) -> bool {
        self.tokens.get(self.at + ahead).is_some_and(|token| token.is(mark))
    }

    fn is_separator(&self, ahead: usize) -> bool {
        self.tokens.get(self.at + ahead) == Some(&Token::PathSeparator)
    }

    /// Reads on by one thing that matters, or by one token.
    fn step(&mut self) {
        if self.is(0, '#') && self.is(1, '[') {
            return self.attribute();
        }
        match self.word(0) {
            Some("pub") if self.is(1, '(') => self.at = self.end_of_group(self.at + 1),
            Some("mod") if self.is(2, '{') => {
                let name = self.word(1).unwrap_or_default().to_owned();
                self.inside.push((name, self.depth));
                self.at += 2;
            }
            Some("macro_rules") if self.is(1, '!') => {
                self.macro_end = self.end_of_group(self.at + 3);
                self.at += 3;
            }
            // In a type, `use<'a>` says what is captured.
            Some("use") if !self.is(1, '<') => {
                let is_public = self.at > 0 && self.tokens[self.at - 1].word() == Some("pub");
                self.at += 1;
                self.use_tree(&[], is_public);
            }
            Some(_) if self.is_separator(1) => {
                let segments = self.path();
                self.note(segments, None);
            }
            Some(_) => self.at += 1,
            None => self.mark(),
        }
    }

    fn mark(&mut self) {
        if self.is_separator(0) {
            // The end of a path whose beginning is a type, or one that begins at other crates.
            self.at += 1;
            self.path();
            return;
        }
        if self.is(0, '{') {
            self.depth += 1;
        } else if self.is(0, '}') {
            self.depth = self.depth.saturating_sub(1);
            self.inside.pop_if(|(_, depth)| *depth == self.depth);
        }
        self.at += 1;
    }

    /// Reads words with `::` between them.
    fn path(&mut self) -> Vec<String> {
        let mut segments = Vec::new();
        while let Some(word) = self.word(0) {
            segments.push(word.to_owned());
            self.at += 1;
            if !self.is_separator(0) || self.word(1).is_none() {
                break;
            }
            self.at += 1;
        }
        segments
    }

    fn note(&mut self, segments: Vec<String>, exported_as: Option<String>) {
        if self.at <= self.macro_end && segments.first().is_none_or(|first| first != "crate") {
            // What it names depends on where the macro is called.
            return;
        }
        let inside = self.inside.iter().map(|(name, _)| name.clone()).collect();
        self.found.paths.push(Named { inside, segments, exported_as });
    }

    /// Reads what stands behind `use`, or one entry of a list in it.
    fn use_tree(&mut self, prefix: &[String], is_public: bool) {
        let is_elsewhere = prefix.is_empty() && self.is_separator(0);
        if is_elsewhere {
            self.at += 1;
        }
        let mut path = prefix.to_vec();
        path.extend(self.path());
        if self.is_separator(0) {
            self.at += 1;
        }
        if self.is(0, '{') {
            self.at += 1;
            while self.at < self.tokens.len() && !self.is(0, '}') {
                self.use_tree(&path, is_public);
                if self.is(0, ',') {
                    self.at += 1;
                }
            }
            self.at += 1;
            return;
        }
        if self.is(0, '*') {
            self.at += 1;
        } else if path.len() > 1 {
            path.pop_if(|last| last == "self");
        }
        let mut name = path.last().cloned();
        if self.word(0) == Some("as") {
            name = self.word(1).map(str::to_owned);
            self.at += 2;
        }
        if !is_elsewhere {
            self.note(path, name.filter(|_| is_public));
        }
    }

    /// Passes an attribute, and what it is for if that is for tests only.
    fn attribute(&mut self) {
        let end = self.end_of_group(self.at + 1);
        let has = |word| self.tokens[self.at..end].iter().any(|it| it.word() == Some(word));
        let is_for_tests = has("cfg") && has("test") && !has("not");
        self.at = end;
        if is_for_tests {
            self.pass_item();
        }
    }

    fn pass_item(&mut self) {
        while self.is(0, '#') && self.is(1, '[') {
            self.at = self.end_of_group(self.at + 1);
        }
        if self.word(0) == Some("pub") {
            self.at = if self.is(1, '(') { self.end_of_group(self.at + 1) } else { self.at + 1 };
        }
        if self.word(0) == Some("mod") && self.is(2, ';') {
            let name = self.word(1).unwrap_or_default().to_owned();
            self.found.test_modules.push(name);
        }
        let is_use = self.word(0) == Some("use");
        let is_field = self.is(1, ':');
        while let Some(token) = self.tokens.get(self.at) {
            match token {
                Token::Mark(';') => return self.at += 1,
                Token::Mark(',') if is_field => return self.at += 1,
                // The end of what the item stands in.
                Token::Mark(')' | ']' | '}') => return,
                Token::Mark('{') if !is_use => return self.at = self.end_of_group(self.at),
                Token::Mark('(' | '[' | '{') => self.at = self.end_of_group(self.at),
                _ => self.at += 1,
            }
        }
    }

    /// The place behind the bracket that closes the one at `open`.
    fn end_of_group(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for (at, token) in self.tokens.iter().enumerate().skip(open) {
            match token {
                Token::Mark('(' | '[' | '{') => depth += 1,
                Token::Mark(')' | ']' | '}') => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return at + 1;
                    }
                }
                _ => {}
            }
        }
        self.tokens.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let named = read(text).paths.into_iter();
        named
            .map(|it| {
                let path = it.segments.join("::");
                let name = it.exported_as.map(|name| format!(" as {name}")).unwrap_or_default();
                it.inside.iter().map(|name| format!("{name}: ")).collect::<String>() + &path + &name
            })
            .collect()
    }

    #[test]
    fn a_list_is_as_many_paths() {
        let text = "use crate::{\n    a::{self, B, c::*},\n    d as e,\n};\nuse ::f::G;\nuse h;";
        assert_eq!(paths(text), ["crate::a", "crate::a::B", "crate::a::c", "crate::d", "h"]);
    }

    #[test]
    fn only_what_is_public_for_all_is_exported() {
        let text = "pub use a::{b, C as D}; pub(crate) use e::F; use g::H;";
        assert_eq!(paths(text), ["a::b as b", "a::C as D", "e::F", "g::H"]);
    }

    #[test]
    fn paths_in_code_count() {
        let text =
            "fn f(x: &'a super::X) -> Vec<crate::a::Y> { Vec::<u8>::from(self::z(::b::c())) }";
        assert_eq!(paths(text), ["super::X", "crate::a::Y", "Vec", "self::z"]);
        let text = "macro_rules! m { () => { $crate::a::b!(super::C) } } fn f() { super::d() }";
        assert_eq!(paths(text), ["crate::a::b", "super::d"]);
        assert_eq!(paths("fn f() -> impl Iterator + use<'_, T> {} use a::B;"), ["a::B"]);
    }

    #[test]
    fn modules_in_the_file_are_named() {
        let text = "mod a { fn f() { b::c(); } mod d { use e::F; } } fn g() { h::i(); }";
        assert_eq!(paths(text), ["a: b::c", "a: d: e::F", "h::i"]);
    }

    #[test]
    fn items_for_tests_are_passed_and_nothing_else() {
        let text = "#[cfg(test)] use a::{b, c}; #[cfg(test)] fn f<A, B>(x: [u8; 2]) { d::e() }\n\
                    struct S { #[cfg(test)] g: h::I, j: k::L }\n\
                    #[cfg(test)] pub(crate) mod m;\n#[cfg(unix)] fn n() { o::p() }";
        assert_eq!(paths(text), ["k::L", "o::p"]);
        assert_eq!(read(text).test_modules, ["m"]);
    }
}
