//! The page around the data.

const PAGE: &str = include_str!("page.html");
pub(super) const STYLE: &str = include_str!("page.css");
pub(super) const SCRIPT: &str = include_str!("page.js");

/// Hashes of style and program for the page's content security policy; a test holds them against the files.
pub(super) const STYLE_HASH: &str = "sha256-g1YVzxiyvxEu/HCJxjIzcxXI9zo0f6QP4urmJQ40VsE=";
pub(super) const SCRIPT_HASH: &str = "sha256-XgEo5HgwrRKF1/gI0GVBtMOilGs5ef5A4IbiEuKmJyc=";

/// The page with a title, which is text, and `data`, which is JSON.
pub(super) fn filled(title: &str, data: &str) -> String {
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + SCRIPT.len() + data.len() + data.len() / 8);
    let mut rest = PAGE;
    // In one pass, so that nothing that was filled in is read as a place to fill.
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("the page closes its places");
        page.push_str(before);
        match name {
            "title" => page.push_str(&text(title)),
            "style" => page.push_str(STYLE),
            "script" => page.push_str(SCRIPT),
            "style-hash" => page.push_str(STYLE_HASH),
            "script-hash" => page.push_str(SCRIPT_HASH),
            "data" => page.push_str(&json(data)),
            other => unreachable!("the page has a place `{other}` that nothing fills"),
        }
        rest = after;
    }
    page + rest
}

/// `text` as it stands between tags or in an attribute in quotes.
pub(super) fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// JSON that ends no script and opens no comment of HTML: outside of strings it has none of these letters.
pub(super) fn json(data: &str) -> String {
    let mut escaped = String::with_capacity(data.len() + data.len() / 8);
    for letter in data.chars() {
        match letter {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    escaped
}
