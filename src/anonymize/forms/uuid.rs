//! UUIDs as text and back. Called by the transformer of that name, by literals and for BSON.

use crate::anonymize::pseudonym::hex;

/// How many characters the usual text has.
pub(crate) const CHARS: usize = 36;

/// Reads 32 hex digits, with hyphens anywhere and braces around, as Postgres does.
pub(crate) fn parse(text: &str) -> Option<[u8; 16]> {
    let text = text.trim();
    let text = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    let mut bytes = [0u8; 16];
    let mut count = 0;
    for byte in text.bytes().filter(|byte| *byte != b'-') {
        let digit = char::from(byte).to_digit(16)? as u8;
        let slot = bytes.get_mut(count / 2)?;
        *slot = *slot << 4 | digit;
        count += 1;
    }
    (count == 32).then_some(bytes)
}

/// Writes the usual text of 16 bytes.
pub(crate) fn push(bytes: &[u8; 16], out: &mut Vec<u8>) {
    for (index, range) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
        if index > 0 {
            out.push(b'-');
        }
        hex(&bytes[range], out);
    }
}

/// The usual text of 16 bytes.
pub(crate) fn to_text(bytes: &[u8; 16]) -> String {
    let mut out = Vec::with_capacity(CHARS);
    push(bytes, &mut out);
    String::from_utf8(out).unwrap_or_default()
}
