//! Commands as a shell reads them.

/// `text` as one word of a shell.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_text_is_one_word_of_a_shell() {
        for (text, wanted) in
            [("results/demo-s0", "results/demo-s0"), ("my runs/a", "'my runs/a'"), ("it's", "'it'\\''s'"), ("", "''")]
        {
            assert_eq!(word(text), wanted);
        }
        let texts = ["", "a b", "it's \"x\" $HOME `ls` \\ \n*", "~", "{\"sampled\":1}", "<= 0.5", "\u{e9}", "#", "!a"];
        for text in texts {
            let output = Command::new("bash").args(["-c", &format!("printf %s {}", word(text))]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
