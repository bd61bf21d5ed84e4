//! The text of JSON strings.

use super::problem::Problem;
use super::pseudonym::hex;

/// What everything that is not JSON is.
#[cold]
pub(crate) fn broken() -> Problem {
    Problem::Broken("it is not valid JSON")
}

/// Writes a text as a JSON string, escaped as Postgres escapes it (`escape_json`), so that jsonb
/// gives back the same bytes.
pub(crate) fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    // Most texts need no escape, and this test is one the compiler turns into vectors.
    let special = |byte: u8| (byte < 32) | (byte == b'"') | (byte == b'\\');
    if !text.iter().fold(false, |any, byte| any | special(*byte)) {
        out.extend_from_slice(text);
        return out.push(b'"');
    }
    for &byte in text {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            8 => b"\\b",
            12 => b"\\f",
            0..=31 => {
                out.extend_from_slice(b"\\u00");
                hex(&[byte], out);
                continue;
            }
            plain => {
                out.push(plain);
                continue;
            }
        };
        out.extend_from_slice(escape);
    }
    out.push(b'"');
}

/// Writes the text that stands between the quotes of a JSON string. Half of a pair of surrogates,
/// which JSON can hold and Postgres' `json` does, becomes what is no UTF-8.
pub(crate) fn unescape(raw: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let escape = *rest.get(at + 1).ok_or_else(broken)?;
        rest = &rest[at + 2..];
        out.push(match escape {
            b'"' | b'\\' | b'/' => escape,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'u' => {
                let mut code = four_hex(&mut rest)?;
                if (0xd800..0xdc00).contains(&code)
                    && let Some(low) = low_half(rest)
                {
                    rest = &rest[6..];
                    code = 0x1_0000 + ((code - 0xd800) << 10) + low;
                }
                let Some(letter) = char::from_u32(code) else {
                    out.extend([0xed, 0x80 | (code >> 6 & 0x3f) as u8, 0x80 | (code & 0x3f) as u8]);
                    continue;
                };
                out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return Err(broken()),
        });
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// The lower half of a character, if that is what follows.
fn low_half(rest: &[u8]) -> Option<u32> {
    let mut digits = rest.strip_prefix(b"\\u")?;
    let low = four_hex(&mut digits).ok()?.wrapping_sub(0xdc00);
    (low < 0x400).then_some(low)
}

fn four_hex(rest: &mut &[u8]) -> Result<u32, Problem> {
    let (digits, tail) = rest.split_at_checked(4).ok_or_else(broken)?;
    let mut code = 0;
    for digit in digits {
        code = code << 4 | char::from(*digit).to_digit(16).ok_or_else(broken)?;
    }
    *rest = tail;
    Ok(code)
}
