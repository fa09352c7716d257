//! serde's derives, as joblab hands them on.
//!
//! What serde's own derives write names the crate `serde`, which a notebook that has only joblab does
//! not have. These here let serde's write the code for a copy of the type, with the place where
//! joblab keeps serde (`crate = ".."`), as it does for types of other crates (`remote = ".."`). All of
//! serde's attributes keep their meaning.

use proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

/// Lets a worker get values of a struct or an enum: implements serde's `Serialize`.
#[proc_macro_derive(Serialize, attributes(serde))]
pub fn serialize(item: TokenStream) -> TokenStream {
    expand(item, "Serialize", |name, copy| {
        format!(
            "impl ::joblab::serde::Serialize for {name} {{
                fn serialize<S: ::joblab::serde::Serializer>(&self, to: S)
                    -> ::core::result::Result<S::Ok, S::Error> {{ {copy}::serialize(self, to) }}
            }}"
        )
    })
}

/// Lets a worker give values of a struct or an enum back: implements serde's `Deserialize`.
#[proc_macro_derive(Deserialize, attributes(serde))]
pub fn deserialize(item: TokenStream) -> TokenStream {
    expand(item, "Deserialize", |name, copy| {
        format!(
            "impl<'de> ::joblab::serde::Deserialize<'de> for {name} {{
                fn deserialize<D: ::joblab::serde::Deserializer<'de>>(from: D)
                    -> ::core::result::Result<Self, D::Error> {{ {copy}::deserialize(from) }}
            }}"
        )
    })
}

fn expand(
    item: TokenStream,
    derive: &str,
    implement: impl Fn(&Ident, &str) -> String,
) -> TokenStream {
    let tokens: Vec<_> = item.into_iter().collect();
    let Some(keyword) = tokens.iter().position(is_keyword) else {
        return error(Span::call_site(), "only a struct or an enum can be derived for");
    };
    let (attributes, rest) = tokens.split_at(keyword);
    let [TokenTree::Ident(kind), TokenTree::Ident(name), body @ ..] = rest else {
        return error(Span::call_site(), "the type needs a name");
    };
    if matches!(body.first(), Some(TokenTree::Punct(first)) if first.as_char() == '<') {
        let remedy = format!(
            "joblab derives for types without parameters; for this one take serde's own:\n\
             #[derive(joblab::serde::{derive})] with #[serde(crate = \"joblab::serde\")]"
        );
        return error(name.span(), &remedy);
    }
    let copy = format!("Joblab{}", unraw(name));
    let attributes: TokenStream = attributes_of_serde(attributes).into_iter().collect();
    let own = own_attributes(&attributes, name);
    let head = format!(
        "#[derive(::joblab::serde::{derive})] #[serde({own})]
         #[allow(dead_code, non_camel_case_types)]"
    );
    let mut inner = parsed(&head);
    inner.extend(attributes);
    inner.extend([TokenTree::Ident(kind.clone())]);
    inner.extend([TokenTree::Ident(Ident::new(&copy, name.span()))]);
    inner.extend(copied(body, name));
    inner.extend(parsed(&implement(name, &copy)));
    // Nobody sees the copy's name.
    let mut whole = parsed("const _: () =");
    whole.extend([TokenTree::Group(Group::new(Delimiter::Brace, inner))]);
    whole.extend(parsed(";"));
    whole
}

fn is_keyword(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Ident(word)
        if matches!(word.to_string().as_str(), "struct" | "enum" | "union"))
}

/// What we have to say to serde, unless the type says it.
fn own_attributes(attributes: &TokenStream, name: &Ident) -> String {
    let mut own = format!("remote = \"{name}\"");
    if !mentions(attributes, "crate") {
        own += ", crate = \"::joblab::serde\"";
    }
    if !mentions(attributes, "rename") {
        own += &format!(", rename = \"{}\"", unraw(name));
    }
    own
}

fn mentions(tokens: &TokenStream, word: &str) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident.to_string() == word,
        TokenTree::Group(group) => mentions(&group.stream(), word),
        _ => false,
    })
}

/// The attributes among some tokens that a copy has to have too.
fn attributes_of_serde(tokens: &[TokenTree]) -> Vec<TokenTree> {
    let pairs = tokens.windows(2).filter(|pair| attribute(pair).is_some_and(is_kept));
    pairs.flatten().cloned().collect()
}

/// The name of the attribute that some tokens begin with.
fn attribute(tokens: &[TokenTree]) -> Option<String> {
    match tokens {
        [TokenTree::Punct(mark), TokenTree::Group(group), ..] if mark.as_char() == '#' => {
            Some(group.stream().into_iter().next()?.to_string())
        }
        _ => None,
    }
}

/// Those of other derives would be unknown at the copy.
fn is_kept(attribute: String) -> bool {
    attribute == "serde" || attribute == "repr"
}

/// The fields or variants of a type, for its copy: there `Self` is still the type.
fn copied(tokens: &[TokenTree], name: &Ident) -> TokenStream {
    let mut copy = Vec::new();
    let mut rest = tokens;
    while let [first, after @ ..] = rest {
        if let Some(attribute) = attribute(rest) {
            if is_kept(attribute) {
                copy.extend([first.clone(), after[0].clone()]);
            }
            rest = &after[1..];
            continue;
        }
        rest = after;
        copy.push(match first {
            TokenTree::Group(group) => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                let mut new = Group::new(group.delimiter(), copied(&inner, name));
                new.set_span(group.span());
                TokenTree::Group(new)
            }
            TokenTree::Ident(word) if word.to_string() == "Self" => {
                let mut name = name.clone();
                name.set_span(word.span());
                TokenTree::Ident(name)
            }
            other => other.clone(),
        });
    }
    copy.into_iter().collect()
}

fn unraw(name: &Ident) -> String {
    let name = name.to_string();
    name.strip_prefix("r#").map_or_else(|| name.clone(), str::to_owned)
}

fn error(at: Span, why: &str) -> TokenStream {
    let mut tokens = parsed("::core::compile_error!");
    let mut words = parsed(&format!("{why:?}"));
    words = words
        .into_iter()
        .map(|mut word| {
            word.set_span(at);
            word
        })
        .collect();
    tokens.extend([TokenTree::Group(Group::new(Delimiter::Brace, words))]);
    tokens
        .into_iter()
        .map(|mut token| {
            token.set_span(at);
            token
        })
        .collect()
}

/// Tokens from what we have written ourselves.
fn parsed(code: &str) -> TokenStream {
    code.parse().unwrap_or_else(|_| error(Span::call_site(), "joblab's derive is broken"))
}
