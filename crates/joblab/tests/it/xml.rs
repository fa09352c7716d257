//! Whether text is well-formed XML, as far as figures use it: no comments, sections or declarations.

/// Asserts that text is one element, well formed in itself.
#[track_caller]
pub(crate) fn assert_well_formed(xml: &str) {
    if let Err(wrong) = check(xml) {
        panic!("{wrong}, in {xml}");
    }
}

fn check(xml: &str) -> Result<(), String> {
    let is_legal = |it: char| it >= ' ' && !('\u{fffe}'..='\u{ffff}').contains(&it);
    if let Some(wrong) = xml.chars().find(|&it| !is_legal(it) && !"\t\n\r".contains(it)) {
        return Err(format!("{wrong:?} is no character of XML"));
    }
    let mut open: Vec<&str> = Vec::new();
    let mut rest = xml.strip_prefix('<').ok_or("no element")?;
    loop {
        let (tag, after) = split_tag(rest)?;
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name.trim_end()) {
                return Err(format!("</{name}> closes another element"));
            }
        } else {
            let (inner, is_empty) = match tag.strip_suffix('/') {
                Some(inner) => (inner, true),
                None => (tag, false),
            };
            let name = inner.split_whitespace().next().ok_or("a tag without a name")?;
            attributes(inner[name.len()..].trim())?;
            if !is_empty {
                open.push(name);
            }
        }
        let (text, next) = after.split_once('<').map_or((after, None), |it| (it.0, Some(it.1)));
        references(text)?;
        match next {
            Some(_) if open.is_empty() => return Err("a second element".to_owned()),
            Some(next) => rest = next,
            None if open.is_empty() && text.trim().is_empty() => return Ok(()),
            None => return Err(format!("{open:?} and {text:?} at the end")),
        }
    }
}

/// A tag, and what follows it. A quoted `>` ends none.
fn split_tag(text: &str) -> Result<(&str, &str), String> {
    let mut is_quoted = false;
    let end = text.find(|it| {
        is_quoted ^= it == '"';
        it == '>' && !is_quoted
    });
    let end = end.ok_or("a tag without an end")?;
    Ok((&text[..end], &text[end + 1..]))
}

fn attributes(mut text: &str) -> Result<(), String> {
    let mut names = Vec::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").ok_or(format!("no value: {text}"))?;
        let (value, rest) = rest.split_once('"').ok_or(format!("no end: {rest}"))?;
        let is_name = |it: char| it.is_ascii_alphanumeric() || "-:".contains(it);
        if name.is_empty() || !name.chars().all(is_name) || names.contains(&name) {
            return Err(format!("{name:?} is no name, or a second one"));
        }
        if value.contains('<') || !(rest.is_empty() || rest.starts_with([' ', '\n'])) {
            return Err(format!("what is {value:?} followed by {rest:?}?"));
        }
        references(value)?;
        names.push(name);
        text = rest.trim_start();
    }
    Ok(())
}

fn references(text: &str) -> Result<(), String> {
    for after in text.split('&').skip(1) {
        let name = after.split(';').next().filter(|name| after.len() > name.len());
        let is_number =
            |name: &str| name.strip_prefix('#').is_some_and(|it| it.parse::<u32>().is_ok());
        if !name
            .is_some_and(|it| ["amp", "lt", "gt", "quot", "apos"].contains(&it) || is_number(it))
        {
            return Err(format!("&{after} is no reference"));
        }
    }
    Ok(())
}

#[test]
fn what_is_no_xml_is_found() {
    assert_well_formed("<a b=\"1 > &quot;\" c-d=\"\"><e/>text &#38;\n<f>]</f></a>\n");
    for wrong in [
        "",
        "text",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a/>text",
        "<a b=1/>",
        "<a b=\"1\" b=\"2\"/>",
        "<a b=\"<\"/>",
        "<a>&</a>",
        "<a>&amp</a>",
        "<a>&nbsp;</a>",
        "<a>\0</a>",
        "<a>\u{1b}</a>",
        "<a>\u{ffff}</a>",
        "<a b=\"1\"c=\"2\"/>",
        "<a b=\"1/>",
        "<a b=\"\"\"/>",
    ] {
        assert!(check(wrong).is_err(), "{wrong:?}");
    }
}
