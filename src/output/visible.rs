//! Names of stores as they may be printed.

use std::borrow::Cow;

/// A text whose control characters, but for those `kept`, are written out: a name from a store
/// must not move a terminal's cursor.
pub(crate) fn visible<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let hidden = |letter: char| letter.is_control() && !kept.contains(&letter);
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if hidden(letter) {
            out.extend(letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    Cow::Owned(out)
}
