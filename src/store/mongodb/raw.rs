//! Walking BSON bytes without decoding them.
//!
//! <https://bsonspec.org/spec.html>

use crate::error::{Error, Result};

/// One element of a document: its type byte, its name, and the bytes of its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Element<'a> {
    /// The type byte of the specification.
    pub kind: u8,
    /// The name; any bytes but zero.
    pub name: &'a [u8],
    /// The value.
    pub value: &'a [u8],
}

/// The type byte of a string.
pub(super) const STRING: u8 = 0x02;
/// The type byte of an embedded document.
pub(super) const DOCUMENT: u8 = 0x03;
/// The type byte of an array.
pub(super) const ARRAY: u8 = 0x04;
/// The type byte of a timestamp.
pub(super) const TIMESTAMP: u8 = 0x11;

/// The elements of a document or array, in order; an error ends them.
pub(super) struct Elements<'a> {
    rest: &'a [u8],
}

fn torn() -> Error {
    Error::failed("a BSON document is malformed")
}

impl<'a> Elements<'a> {
    /// The elements of the document that `bytes` is.
    pub fn of(bytes: &'a [u8]) -> Result<Self> {
        if length_at(bytes)? != bytes.len() || bytes.last() != Some(&0) {
            return Err(torn());
        }
        Ok(Self { rest: &bytes[4..bytes.len() - 1] })
    }

    fn element(&mut self) -> Result<Element<'a>> {
        let (kind, rest) = self.rest.split_first().ok_or_else(torn)?;
        let end = memchr::memchr(0, rest).ok_or_else(torn)?;
        let (name, rest) = (&rest[..end], &rest[end + 1..]);
        let length = value_length(*kind, rest)?;
        if length > rest.len() {
            return Err(torn());
        }
        let (value, rest) = rest.split_at(length);
        self.rest = rest;
        Ok(Element { kind: *kind, name, value })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let element = self.element();
        if element.is_err() {
            self.rest = &[];
        }
        Some(element)
    }
}

/// The little-endian i32 that `bytes` begins with, as a length.
fn length_at(bytes: &[u8]) -> Result<usize> {
    let head = bytes.first_chunk::<4>().ok_or_else(torn)?;
    usize::try_from(i32::from_le_bytes(*head)).map_err(|_| torn())
}

fn value_length(kind: u8, bytes: &[u8]) -> Result<usize> {
    let text = |extra: usize| length_at(bytes)?.checked_add(extra).ok_or_else(torn);
    let cstring = |bytes: &[u8]| memchr::memchr(0, bytes).map(|end| end + 1).ok_or_else(torn);
    Ok(match kind {
        // undefined, null, min key, max key
        0x06 | 0x0a | 0xff | 0x7f => 0,
        0x08 => 1,
        0x10 => 4,
        // double, date, timestamp, int64
        0x01 | 0x09 | TIMESTAMP | 0x12 => 8,
        0x07 => 12,
        0x13 => 16,
        // string, code, symbol
        0x02 | 0x0d | 0x0e => text(4)?,
        // document, array, code with scope: the length counts itself
        DOCUMENT | ARRAY | 0x0f => text(0)?.max(5),
        0x05 => text(5)?,
        0x0c => text(16)?,
        0x0b => {
            let pattern = cstring(bytes)?;
            pattern + cstring(&bytes[pattern..])?
        }
        _ => return Err(torn()),
    })
}

/// The documents of a cursor's reply, without copying: those of `cursor.firstBatch` or
/// `cursor.nextBatch`, and whether the cursor ended with this reply.
pub(super) fn batch_of(reply: &[u8]) -> Result<(Elements<'_>, bool)> {
    let answer = || Error::failed("the server's answer holds no batch");
    let mut documents = None;
    let mut ended = None;
    for element in Elements::of(reply)? {
        let element = element?;
        if element.name != b"cursor" || element.kind != DOCUMENT {
            continue;
        }
        for field in Elements::of(element.value)? {
            let field = field?;
            match field.name {
                b"firstBatch" | b"nextBatch" if field.kind == ARRAY => {
                    documents = Some(Elements::of(field.value)?);
                }
                b"id" if field.kind == 0x12 => ended = Some(field.value == [0; 8]),
                b"partialResultsReturned" if field.value == [1] => {
                    return Err(Error::failed("the server returned only a part of the results"));
                }
                _ => {}
            }
        }
    }
    Ok((documents.ok_or_else(answer)?, ended.ok_or_else(answer)?))
}

/// Begins a document or array in `out`; what it returns is for [`end`].
pub(super) fn begin(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; 4]);
    out.len() - 4
}

/// Ends the document or array that was begun at `start` and writes its length there.
pub(super) fn end(out: &mut Vec<u8>, start: usize) -> Result<()> {
    out.push(0);
    let length = i32::try_from(out.len() - start)
        .map_err(|_| Error::failed("a command is larger than 2 GiB"))?;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Appends an element; its value must be what its type says.
pub(super) fn element(out: &mut Vec<u8>, kind: u8, name: &[u8], value: &[u8]) {
    header(out, kind, name);
    out.extend_from_slice(value);
}

/// Appends the type and name of an element whose value follows.
pub(super) fn header(out: &mut Vec<u8>, kind: u8, name: &[u8]) {
    out.push(kind);
    out.extend_from_slice(name);
    out.push(0);
}

/// Appends a string element. Text beyond 2 GiB cannot come up: names are short.
pub(super) fn string(out: &mut Vec<u8>, name: &[u8], text: &str) {
    header(out, 0x02, name);
    let length = u32::try_from(text.len() + 1).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

/// Appends a boolean element.
pub(super) fn boolean(out: &mut Vec<u8>, name: &[u8], truth: bool) {
    element(out, 0x08, name, &[u8::from(truth)]);
}

/// Appends the type of an element of an array and its position as its name.
pub(super) fn item(out: &mut Vec<u8>, kind: u8, position: u32) {
    let mut digits = [0; 10];
    let (mut rest, mut start) = (position, digits.len());
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    header(out, kind, &digits[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::spec::BinarySubtype;
    use mongodb::bson::{Binary, Bson, RawDocumentBuf, Regex, Timestamp, doc};

    fn c(text: &str) -> mongodb::bson::raw::CString {
        mongodb::bson::raw::CString::try_from(text).unwrap()
    }

    #[test]
    fn every_type_has_its_length() {
        let document = doc! {
            "a": 1.0, "b": "x", "c": { "d": 1 }, "e": [1, 2], "f": Bson::Undefined,
            "g": Binary { subtype: BinarySubtype::BinaryOld, bytes: vec![1, 2, 3] },
            "h": mongodb::bson::oid::ObjectId::new(), "i": true,
            "j": mongodb::bson::DateTime::from_millis(1), "k": null,
            "l": Regex { pattern: c("a"), options: c("i") }, "m": Bson::JavaScriptCode("c".into()),
            "n": Bson::Symbol("s".into()), "o": mongodb::bson::JavaScriptCodeWithScope {
                code: "c".into(), scope: doc! { "a": 1 } },
            "p": 1, "q": Timestamp { time: 0, increment: 0 }, "r": 1_i64,
            "s": "1".parse::<mongodb::bson::Decimal128>().unwrap(), "t": Bson::MinKey,
            "u": Bson::MaxKey, "": 1,
        };
        let raw = RawDocumentBuf::try_from(&document).unwrap();
        let names: Vec<String> = Elements::of(raw.as_bytes())
            .unwrap()
            .map(|element| String::from_utf8(element.unwrap().name.to_vec()).unwrap())
            .collect();
        assert_eq!(names, document.keys().cloned().collect::<Vec<_>>());
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut out = Vec::new();
        let start = begin(&mut out);
        string(&mut out, b"insert", "c");
        boolean(&mut out, b"ordered", false);
        header(&mut out, ARRAY, b"documents");
        let array = begin(&mut out);
        for position in [0, 9, 10, 99_999] {
            item(&mut out, DOCUMENT, position);
            out.extend_from_slice(&[5, 0, 0, 0, 0]);
        }
        end(&mut out, array).unwrap();
        end(&mut out, start).unwrap();
        let raw = RawDocumentBuf::from_bytes(out).unwrap();
        assert_eq!(raw.get_str("insert").unwrap(), "c");
        let names: Vec<_> = Elements::of(raw.get_array("documents").unwrap().as_bytes())
            .unwrap()
            .map(|element| element.unwrap().name.to_vec())
            .collect();
        assert_eq!(names, [&b"0"[..], b"9", b"10", b"99999"]);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes: Vec<u8>) {
            if bytes.len() >= 5 {
                let length = i32::try_from(bytes.len()).unwrap();
                bytes[..4].copy_from_slice(&length.to_le_bytes());
                let last = bytes.len() - 1;
                bytes[last] = 0;
            }
            if let Ok(elements) = Elements::of(&bytes) {
                let found = elements.filter(Result::is_ok).count();
                proptest::prop_assert!(found <= bytes.len());
            }
            proptest::prop_assert!(batch_of(&bytes).is_err());
        }
    }
}
