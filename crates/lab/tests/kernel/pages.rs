//! `--html`: pages that can be read without a network.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::notebook::assert_passes;

/// A notebook that has everything a page may have to show.
const NOTEBOOK: &str = r##"{"metadata": {}, "nbformat": 4, "nbformat_minor": 5, "cells": [
{"cell_type": "markdown", "id": "a", "metadata": {}, "source":
 "# A title & more\n\n> What it shows.\n\n[itself](page.ipynb#end) [gone](../src/lib.rs) [far](https://example.org)\n\n| a | b |\n| - | - |\n| 1 | `x \\|\\| y` |"},
{"cell_type": "code", "id": "b", "metadata": {}, "execution_count": null, "outputs": [], "source":
 "println!(\"EVCXR_BEGIN_CONTENT image/svg+xml\\n<svg xmlns='http://www.w3.org/2000/svg' aria-label='a &lt;plot&gt;' width='2000' height='20'/>\\nEVCXR_END_CONTENT\");\neprintln!(\"<late>\");"},
{"cell_type": "code", "id": "c", "metadata": {"jupyter": {"source_hidden": true}}, "execution_count": null, "outputs": [], "source":
 "// A solution\nprintln!(\"solved\");"},
{"cell_type": "code", "id": "d", "metadata": {}, "execution_count": null, "outputs": [], "source": "  "}
]}"##;

fn site(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    let notebook = folder.join("page.ipynb");
    fs::write(&notebook, NOTEBOOK).unwrap();
    let site = folder.join("site");
    let _ = fs::remove_dir_all(&site);
    assert_passes(&["--html", site.to_str().unwrap()], &notebook);
    site
}

#[test]
#[ignore = "needs the Rust kernel; `cargo lab test` runs it"]
fn pages_are_whole_by_themselves() {
    let site = site("whole-pages");
    let page = fs::read_to_string(site.join("page.html")).unwrap();
    let index = fs::read_to_string(site.join("index.html")).unwrap();
    for text in [&page, &index] {
        // What a page loads lies beside it or in it: nothing is fetched from elsewhere.
        for part in text.split('<').filter(|part| !part.starts_with("a ")) {
            for loads in ["src=\"", "href=\""] {
                let Some((_, from)) = part.split_once(loads) else { continue };
                let file = from.split('"').next().unwrap_or_default();
                let is_here = file.starts_with("data:") || site.join(file).is_file();
                assert!(is_here, "{file} in {text}");
            }
        }
        assert!(text.contains("name=\"viewport\""), "{text}");
    }
    for file in fs::read_dir(&site).unwrap() {
        let file = file.unwrap().path();
        let text = fs::read_to_string(&file).unwrap();
        for fetched in ["@import", "url(", "fetch(", "import("] {
            assert!(!text.contains(fetched), "{fetched} in {}", file.display());
        }
    }
    for part in ["<a href=\"page.html\">A title &amp; more</a>", "What it shows."] {
        assert!(index.contains(part), "no {part} in {index}");
    }
    for part in [
        // Links lead to pages, and where there is none, nowhere.
        "<a href=\"page.html#end\">itself</a>",
        "<a>gone</a>",
        "<a href=\"https://example.org\">far</a>",
        "<div class=\"table\"><table>",
        "<code>x || y</code>",
        "src=\"data:image/svg+xml;base64,",
        "alt=\"a &lt;plot&gt;\"",
        "<pre class=\"stderr\">&lt;late&gt;",
        "<summary>A solution</summary>",
        "solved",
    ] {
        assert!(page.contains(part), "no {part} in {page}");
    }
}

/// A browser whose window is as wide as a phone shows the page, and says what there is to scroll.
const PHONE: &str = r##"<!DOCTYPE html><meta charset="utf-8">
<iframe width="390" height="800" srcdoc="PAGE"></iframe>
<script>
onload = () => {
    const shown = document.querySelector('iframe').contentDocument;
    const page = shown.documentElement;
    const pictures = [...shown.images].map(it => it.naturalWidth > 0 && it.width <= page.clientWidth);
    document.body.textContent = `${page.scrollWidth <= page.clientWidth} ${pictures}`;
};
</script>"##;

#[test]
#[ignore = "needs the Rust kernel and a browser; `cargo lab test` runs it"]
fn pages_fit_a_phone() {
    let site = site("pages-on-a-phone");
    let page = fs::read_to_string(site.join("page.html")).unwrap();
    let escaped = page.replace('&', "&amp;").replace('"', "&quot;");
    let phone = site.join("phone.html");
    fs::write(&phone, PHONE.replace("PAGE", &escaped)).unwrap();
    let shown = ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|browser| {
        Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
            .arg(&phone)
            .output()
            .ok()
    });
    let Some(shown) = shown else {
        assert!(env::var_os("CI").is_none(), "no browser to look at pages");
        println!("SKIPPED: no browser to look at pages");
        return;
    };
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("<body>true true</body>"), "{shown}");
}
