//! COPY text: the escapes of its fields.

/// The field that stands for null.
pub(crate) const NULL: &[u8] = b"\\N";

/// Writes what an escaped field holds
/// (<https://www.postgresql.org/docs/current/sql-copy.html>, "Text Format"); nothing if it ends
/// inside an escape.
pub(crate) fn unescape(field: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = field;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (&escape, tail) = rest[at + 1..].split_first()?;
        rest = tail;
        out.push(match escape {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            b'0'..=b'7' => {
                let mut code = u32::from(escape - b'0');
                for _ in 0..2 {
                    let Some((digit @ b'0'..=b'7', tail)) = rest.split_first() else { break };
                    code = code << 3 | u32::from(digit - b'0');
                    rest = tail;
                }
                code as u8
            }
            b'x' => {
                let mut code = None;
                for _ in 0..2 {
                    let Some((digit, tail)) = rest.split_first() else { break };
                    let Some(digit) = char::from(*digit).to_digit(16) else { break };
                    code = Some(code.unwrap_or(0) << 4 | digit);
                    rest = tail;
                }
                code.map_or(b'x', |code| code as u8)
            }
            other => other,
        });
    }
    out.extend_from_slice(rest);
    Some(())
}

/// Escapes the value that was written since `start` as Postgres escapes it.
pub(crate) fn escape_from(start: usize, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    // Most values need no escape, and this test is one the compiler turns into vectors.
    let escapes = |any: bool, byte: &u8| any | (*byte < 14) | (*byte == b'\\');
    if out[start..].iter().fold(false, escapes) {
        scratch.clear();
        scratch.extend_from_slice(&out[start..]);
        out.truncate(start);
        escape(scratch, out);
    }
}

/// Writes a value as a field, escaped.
pub(crate) fn escape(value: &[u8], out: &mut Vec<u8>) {
    let mut start = 0;
    for (at, &byte) in value.iter().enumerate() {
        let letter = match byte {
            b'\\' => b'\\',
            8 => b'b',
            12 => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            11 => b'v',
            _ => continue,
        };
        out.extend_from_slice(&value[start..at]);
        out.extend_from_slice(&[b'\\', letter]);
        start = at + 1;
    }
    out.extend_from_slice(&value[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_escape_of_copy_is_read() {
        let read = |text: &str| {
            let mut out = Vec::new();
            unescape(text.as_bytes(), &mut out).map(|()| out)
        };
        assert_eq!(read(r"a\tb\\c\n\r\b\f\v").unwrap(), b"a\tb\\c\n\r\x08\x0c\x0b");
        assert_eq!(read(r"\101\x41\x4a4\q\1").unwrap(), b"AAJ4q\x01");
        assert!(read(r"a\").is_none());
    }

    proptest! {
        #[test]
        fn escaping_comes_back(value in prop::collection::vec(any::<u8>(), 0..64)) {
            let (mut field, mut back) = (Vec::new(), Vec::new());
            escape(&value, &mut field);
            prop_assert!(!field.contains(&b'\t') && !field.contains(&b'\n'));
            unescape(&field, &mut back).unwrap();
            prop_assert_eq!(&back, &value);
            let mut out = [b"x".as_slice(), &value].concat();
            escape_from(1, &mut Vec::new(), &mut out);
            prop_assert_eq!(&out[1..], field);
        }
    }
}
