//! `cargo lab test imports`: the files of a crate import each other in one direction only, its root has
//! few of them, and what differs from system to system stands in `os`.
//!
//! A circle of files can only be understood, moved and tested as a whole. What a file imports is
//! read from its paths, and a path counts for the deepest file that it names.

mod circles;
mod graph;
mod paths;
mod tokens;

use std::path::Path;

use crate::problem::{Problem, Result};
use graph::Crate;

/// As many modules at its root a newcomer can look over.
const ROOMS: usize = 20;

/// Looks at the crate whose lib.rs stands in that folder. What is wrong is the problem's text, and
/// what is only remarkable is handed back.
pub(crate) fn check(src: &Path) -> Result<Vec<String>> {
    let it = Crate::read(src)?;
    let mut wrong: Vec<String> = circles::shortest(&it.imports)
        .into_iter()
        .map(|circle| format!("circle: {}", circle.join(" -> ")))
        .collect();
    if it.rooms > ROOMS {
        wrong.push(format!(
            "{} modules stand at the root, and at most {ROOMS} are wanted",
            it.rooms
        ));
    }
    let of_a_system = it.of_a_system.iter();
    wrong.extend(of_a_system.map(|file| format!("{file} asks for target_os, which os/ is for")));
    let remarks = it.through_lib.iter().map(|(file, names)| {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        format!("{file} goes through lib.rs for {}: name the file instead", names.join(", "))
    });
    let remarks: Vec<String> = remarks.collect();
    if wrong.is_empty() {
        return Ok(remarks);
    }
    Err(Problem::new(remarks.into_iter().chain(wrong).collect::<Vec<_>>().join("\n")))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// Writes a crate into a folder of its own, which goes with it.
    struct Tree(PathBuf);

    impl Tree {
        fn of(name: &str, files: &[(&str, &str)]) -> Self {
            let name = format!("lab-imports-{}-{name}", std::process::id());
            let tree = Self(std::env::temp_dir().join(name));
            for (file, text) in files {
                let path = tree.0.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            tree
        }

        fn check(&self) -> Result<Vec<String>> {
            check(&self.0)
        }

        #[track_caller]
        fn fails_with(&self, lines: &[&str]) {
            assert_eq!(self.check().unwrap_err().to_string(), lines.join("\n"));
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_line_of_files_is_no_circle() {
        let tree = Tree::of(
            "line",
            &[
                ("lib.rs", "mod a; mod b; pub use crate::{a::A, b::B};"),
                ("a.rs", "use crate::b::B; mod child; use self::child::C; pub struct A(B, C);"),
                ("a/child.rs", "use crate::b::B; pub struct C(B);"),
                ("b.rs", "pub struct B;"),
            ],
        );
        assert_eq!(tree.check(), Ok(vec![]));
    }

    #[test]
    fn a_circle_is_found_however_long_it_is() {
        let tree = Tree::of(
            "long",
            &[
                ("lib.rs", "mod a; mod b; mod c; mod d;"),
                ("a.rs", "use crate::b::B;"),
                ("b.rs", "fn f() -> crate::c::C { crate::c::C }"),
                ("c.rs", "use super::a;"),
                ("d.rs", "use crate::a::A;"),
            ],
        );
        tree.fails_with(&["circle: a.rs -> b.rs -> c.rs -> a.rs"]);
    }

    #[test]
    fn a_child_that_takes_from_its_parent_makes_a_circle_with_it() {
        let lib = ("lib.rs", "mod a;");
        for (name, parent) in [
            ("exports", "mod child; pub(crate) use self::child::C;"),
            ("exports-plainly", "mod child; pub use child::C;"),
            ("calls", "mod child; fn f() { child::call(); }"),
        ] {
            let child = ("a/child.rs", "use super::{X as Y, sibling::Z};");
            let tree = Tree::of(name, &[lib, ("a.rs", parent), child, ("a/sibling.rs", "")]);
            tree.fails_with(&["circle: a.rs -> a/child.rs -> a.rs"]);
        }
        // To declare a child is not to import it, and a parent that is only passed is no import.
        let child = ("a/child.rs", "use super::sibling::Z;");
        let parent = ("a.rs", "mod child; mod sibling; use self::child::C;");
        let tree = Tree::of("passes", &[lib, parent, child, ("a/sibling.rs", "")]);
        assert_eq!(tree.check(), Ok(vec![]));
    }

    #[test]
    fn the_file_may_be_called_mod_rs() {
        let tree = Tree::of(
            "mod-rs",
            &[("lib.rs", "mod a;"), ("a/mod.rs", "use self::b::B;"), ("a/b.rs", "use super::A;")],
        );
        tree.fails_with(&["circle: a/b.rs -> a/mod.rs -> a/b.rs"]);
    }

    #[test]
    fn comments_strings_and_tests_do_not_count() {
        let b = r####"
            //! See [`A`](crate::a::A).
            /* use crate::a; /* use crate::a; */ use crate::a; */
            pub(in crate::a) const TEXT: &str = "use crate::a; \" crate::a::A";
            const RAW: &str = r#"" crate::a::A"#;
            const CHARS: [char; 2] = ['"', '\''];
            fn life<'a>(it: &'a str) -> &'a str { it }
            #[cfg(test)]
            use crate::a::{A, B};
            #[cfg(test)]
            #[derive(Debug)]
            struct OnlyInTests(crate::a::A);
            #[cfg(all(test, unix))]
            mod tests { fn f() { let _ = crate::a::A { b: 1 }; } }
            #[cfg(test)]
            mod more_tests;
        "####;
        let tree = Tree::of(
            "tests",
            &[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", "use crate::b::TEXT;"),
                ("b.rs", b),
                ("b/more_tests.rs", "use crate::a::A; use super::TEXT; use crate::A;"),
            ],
        );
        assert_eq!(tree.check(), Ok(vec![]));
        // What is left out outside of tests counts.
        let tree = Tree::of(
            "not-test",
            &[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", "use crate::b::B;"),
                ("b.rs", "#[cfg(not(test))]\nuse crate::a::A;"),
            ],
        );
        tree.fails_with(&["circle: a.rs -> b.rs -> a.rs"]);
    }

    #[test]
    fn modules_inside_of_a_file_belong_to_it() {
        let tree = Tree::of(
            "inline",
            &[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", "mod inner { use super::X; use super::super::b::B; } use self::inner::Y;"),
                ("b.rs", "use crate::a::inner::Y;"),
            ],
        );
        tree.fails_with(&["circle: a.rs -> b.rs -> a.rs"]);
    }

    #[test]
    fn a_name_from_lib_rs_is_told_and_counts_for_its_file() {
        let lib = ("lib.rs", "mod a; mod b; pub use crate::{a::{A, call as run}, b::B};");
        let a = ("a.rs", "use crate::{B, *}; use super::C;");
        let tree = Tree::of("through-lib", &[lib, a, ("b.rs", "")]);
        let remark = "a.rs goes through lib.rs for *, B, C: name the file instead";
        assert_eq!(tree.check(), Ok(vec![remark.to_owned()]));
        let tree = Tree::of("circle-through-lib", &[lib, a, ("b.rs", "fn f() { crate::run() }")]);
        tree.fails_with(&[
            remark,
            "b.rs goes through lib.rs for run: name the file instead",
            "circle: a.rs -> b.rs -> a.rs",
        ]);
    }

    #[test]
    fn modules_at_the_root_are_counted() {
        let names: Vec<String> = (0..=ROOMS).map(|n| format!("a{n}.rs")).collect();
        let files = |count: usize| {
            let rooms = names[..count].iter().map(|name| (name.as_str(), ""));
            rooms.chain([("lib.rs", ""), ("a0/inner.rs", "")]).collect::<Vec<_>>()
        };
        assert_eq!(Tree::of("enough", &files(ROOMS)).check(), Ok(vec![]));
        let tree = Tree::of("too-many", &files(ROOMS + 1));
        tree.fails_with(&["21 modules stand at the root, and at most 20 are wanted"]);
    }

    #[test]
    fn only_the_files_of_os_ask_which_system_it_is() {
        let asks = "#[cfg(target_os = \"linux\")] fn f() {}";
        let lib = ("lib.rs", "mod a; mod os;");
        let tree = Tree::of("os", &[lib, ("a.rs", ""), ("os.rs", asks), ("os/linux.rs", asks)]);
        assert_eq!(tree.check(), Ok(vec![]));
        let tree = Tree::of("os-elsewhere", &[lib, ("a.rs", ""), ("a/os.rs", asks), ("os.rs", "")]);
        tree.fails_with(&["a/os.rs asks for target_os, which os/ is for"]);
    }

    #[test]
    fn each_circle_stands_once_and_the_shortest_comes_first() {
        let tree = Tree::of(
            "several",
            &[
                ("lib.rs", ""),
                ("a.rs", "use crate::{b, c};"),
                ("b.rs", "use crate::{c::C, d};"),
                ("c.rs", "use crate::a::A;"),
                ("d.rs", "use crate::b;"),
            ],
        );
        tree.fails_with(&[
            "circle: a.rs -> c.rs -> a.rs",
            "circle: b.rs -> d.rs -> b.rs",
            "circle: a.rs -> b.rs -> c.rs -> a.rs",
        ]);
    }

    #[test]
    fn a_folder_without_lib_rs_is_no_crate() {
        let tree = Tree::of("no-lib", &[("a.rs", "")]);
        let problem = tree.check().unwrap_err().to_string();
        assert!(problem.starts_with("there is no lib.rs in "), "{problem}");
    }
}
