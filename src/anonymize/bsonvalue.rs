//! The values of BSON: their lengths, and scalars as text and back.

use std::io::Write;

use mongodb::bson::Decimal128;

use super::forms::number::push_float;
use super::forms::{Form, uuid};
use super::problem::Problem;
use super::pseudonym::hex;

/// A 64-bit float.
pub(crate) const DOUBLE: u8 = 0x01;
/// UTF-8 with its length and a NUL.
pub(crate) const STRING: u8 = 0x02;
/// A document.
pub(crate) const OBJECT: u8 = 0x03;
/// A document whose names are positions.
pub(crate) const ARRAY: u8 = 0x04;
/// Length, subtype, bytes.
pub(crate) const BINARY: u8 = 0x05;
/// Deprecated: no value.
pub(crate) const UNDEFINED: u8 = 0x06;
/// 12 bytes.
pub(crate) const OBJECT_ID: u8 = 0x07;
/// One byte.
pub(crate) const BOOL: u8 = 0x08;
/// Milliseconds since 1970.
pub(crate) const DATE: u8 = 0x09;
/// Nothing.
pub(crate) const NULL: u8 = 0x0a;
/// A pattern and its options, each with a NUL.
const REGULAR_EXPRESSION: u8 = 0x0b;
/// Deprecated: a collection's name and 12 bytes.
const POINTER: u8 = 0x0c;
/// JavaScript, written like a string.
const CODE: u8 = 0x0d;
/// Deprecated: written like a string.
const SYMBOL: u8 = 0x0e;
/// Deprecated: its length, JavaScript, and a document of names.
const CODE_WITH_SCOPE: u8 = 0x0f;
/// A 32-bit integer.
pub(crate) const INT32: u8 = 0x10;
/// A moment of replication: 4 bytes of seconds and 4 of a counter.
const TIMESTAMP: u8 = 0x11;
/// A 64-bit integer.
pub(crate) const INT64: u8 = 0x12;
/// A decimal of 128 bits.
pub(crate) const DECIMAL: u8 = 0x13;
/// What sorts behind everything; no bytes.
const MAX_KEY: u8 = 0x7f;
/// What sorts before everything; no bytes.
const MIN_KEY: u8 = 0xff;

/// Subtype of a binary: a UUID as old drivers wrote it.
const UUID_LEGACY: u8 = 3;
/// Subtype of a binary: a UUID.
const UUID: u8 = 4;

/// Bytes of an ObjectId.
const OBJECT_ID_BYTES: usize = 12;
/// The least bytes of code with a scope: three lengths and no text and no names.
const CODE_WITH_SCOPE_LEAST: usize = 14;

/// Why bytes are not BSON. Small, because every element is read with it at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(&'static str);

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        Self::Broken(malformed.0)
    }
}

/// What everything that is not BSON is.
#[cold]
pub(crate) fn broken() -> Malformed {
    Malformed("it is not valid BSON")
}

/// The length that bytes begin with.
#[inline]
pub(crate) fn int32(bytes: &[u8]) -> Result<usize, Malformed> {
    let head = bytes.first_chunk::<4>().ok_or_else(broken)?;
    usize::try_from(i32::from_le_bytes(*head)).map_err(|_| broken())
}

/// The length of a value by its type; `bytes` begins with it.
#[inline]
pub(crate) fn value_length(kind: u8, bytes: &[u8]) -> Result<usize, Malformed> {
    let string = |bytes: &[u8]| {
        let length = int32(bytes)?;
        let ends = length.checked_add(3).and_then(|last| bytes.get(last)) == Some(&0);
        if length >= 1 && ends { Ok(4 + length) } else { Err(broken()) }
    };
    match kind {
        DOUBLE | DATE | TIMESTAMP | INT64 => Ok(8),
        STRING | CODE | SYMBOL => string(bytes),
        OBJECT | ARRAY => {
            document_end(bytes, 0, bytes.len())?;
            int32(bytes)
        }
        BINARY => Ok(int32(bytes)?.saturating_add(5)),
        UNDEFINED | NULL | MAX_KEY | MIN_KEY => Ok(0),
        OBJECT_ID => Ok(OBJECT_ID_BYTES),
        BOOL => Ok(1),
        REGULAR_EXPRESSION => {
            let pattern = memchr::memchr(0, bytes).ok_or_else(broken)? + 1;
            let options = memchr::memchr(0, &bytes[pattern..]).ok_or_else(broken)? + 1;
            Ok(pattern + options)
        }
        POINTER => Ok(string(bytes)? + OBJECT_ID_BYTES),
        CODE_WITH_SCOPE => match int32(bytes)? {
            length if length < CODE_WITH_SCOPE_LEAST => Err(broken()),
            length => Ok(length),
        },
        INT32 => Ok(4),
        DECIMAL => Ok(16),
        _ => Err(Malformed("it has a BSON type that is not known")),
    }
}

/// One element of a document: where it begins, its name, its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element {
    pub(crate) kind: u8,
    pub(crate) start: usize,
    pub(crate) name: (usize, usize),
    pub(crate) value: usize,
    pub(crate) end: usize,
    /// Where its type stands in the output, once its name has been written there.
    pub(crate) head: Option<usize>,
}

/// Reads the element at `at` of a document whose last byte, the terminator, is at `limit`.
#[inline]
pub(crate) fn element(input: &[u8], at: usize, limit: usize) -> Result<Element, Malformed> {
    let body = input.get(at..limit).ok_or_else(broken)?;
    let (&kind, rest) = body.split_first().ok_or_else(broken)?;
    let name = memchr::memchr(0, rest).ok_or_else(broken)?;
    let value = at + 1 + name + 1;
    let length = value_length(kind, input.get(value..limit).ok_or_else(broken)?)?;
    let end = value.checked_add(length).filter(|end| *end <= limit).ok_or_else(broken)?;
    Ok(Element { kind, start: at, name: (at + 1, at + 1 + name), value, end, head: None })
}

/// Checks the document at `start` that must end by `limit`, and says where it ends.
#[inline]
pub(crate) fn document_end(input: &[u8], start: usize, limit: usize) -> Result<usize, Malformed> {
    let length = int32(input.get(start..limit).ok_or_else(broken)?)?;
    let end = start.checked_add(length).filter(|end| *end <= limit).ok_or_else(broken)?;
    if length < 5 || input.get(end - 1) != Some(&0) {
        return Err(broken());
    }
    Ok(end)
}

/// Writes the text of a scalar, as Postgres would print it, and says what it is; `?` stands for what no
/// transformer knows.
pub(crate) fn read(kind: u8, value: &[u8], text: &mut Vec<u8>) -> Option<Form> {
    let form = match kind {
        STRING => {
            text.extend_from_slice(value.get(4..value.len() - 1)?);
            Form::Text
        }
        DOUBLE => {
            push_float(f64::from_le_bytes(*value.first_chunk()?), false, text);
            Form::Float { single: false }
        }
        INT32 => {
            write!(text, "{}", i32::from_le_bytes(*value.first_chunk()?)).ok()?;
            Form::Integer { bits: 32 }
        }
        INT64 => {
            write!(text, "{}", i64::from_le_bytes(*value.first_chunk()?)).ok()?;
            Form::Integer { bits: 64 }
        }
        DATE => {
            write!(text, "{}", i64::from_le_bytes(*value.first_chunk()?)).ok()?;
            Form::Millis
        }
        DECIMAL => {
            write!(text, "{}", Decimal128::from_bytes(*value.first_chunk()?)).ok()?;
            Form::Decimal { scale: None }
        }
        BOOL => {
            text.push(if *value.first()? == 0 { b'f' } else { b't' });
            Form::Bool
        }
        OBJECT_ID => {
            hex(value, text);
            Form::ObjectId
        }
        BINARY => {
            let bytes = value.get(5..)?;
            match (value.get(4)?, <&[u8; 16]>::try_from(bytes)) {
                (&(UUID_LEGACY | UUID), Ok(bytes)) => {
                    text.extend_from_slice(uuid::to_text(bytes).as_bytes());
                    Form::Uuid
                }
                _ if bytes.is_empty() => Form::Bytes,
                _ => {
                    text.extend_from_slice(b"\\x");
                    hex(bytes, text);
                    Form::Bytes
                }
            }
        }
        _ => {
            text.push(b'?');
            Form::Other
        }
    };
    Some(form)
}

/// Writes a value of a type from its text, which a transformer made; a binary keeps its subtype.
/// `None` where the text is none of that type.
pub(crate) fn write(kind: u8, subtype: u8, text: &str, out: &mut Vec<u8>) -> Option<()> {
    match kind {
        STRING => {
            out.extend_from_slice(&i32::try_from(text.len() + 1).ok()?.to_le_bytes());
            out.extend_from_slice(text.as_bytes());
            out.push(0);
        }
        DOUBLE => out.extend_from_slice(&text.parse::<f64>().ok()?.to_le_bytes()),
        INT32 => out.extend_from_slice(&text.parse::<i32>().ok()?.to_le_bytes()),
        INT64 | DATE => out.extend_from_slice(&text.parse::<i64>().ok()?.to_le_bytes()),
        DECIMAL => out.extend_from_slice(&text.parse::<Decimal128>().ok()?.bytes()),
        BOOL => out.push(u8::from(matches!(text, "t" | "true"))),
        OBJECT_ID => {
            out.extend_from_slice(&bytes(text).filter(|bytes| bytes.len() == OBJECT_ID_BYTES)?)
        }
        BINARY => {
            let bytes = match text.strip_prefix("\\x") {
                Some(digits) => bytes(digits)?,
                None => uuid::parse(text)?.to_vec(),
            };
            out.extend_from_slice(&i32::try_from(bytes.len()).ok()?.to_le_bytes());
            out.push(subtype);
            out.extend_from_slice(&bytes);
        }
        _ => return None,
    }
    Some(())
}

/// A neutral value of a type that no transformer knows; `None` where null has to do.
pub(crate) fn neutral(kind: u8) -> Option<&'static [u8]> {
    match kind {
        // It matches everywhere.
        REGULAR_EXPRESSION => Some(b"(?:)\0\0"),
        // No text.
        CODE | SYMBOL => Some(&[1, 0, 0, 0, 0]),
        // No text, no names.
        CODE_WITH_SCOPE => Some(&[14, 0, 0, 0, 1, 0, 0, 0, 0, 5, 0, 0, 0, 0]),
        TIMESTAMP => Some(&[0; 8]),
        _ => None,
    }
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs.map(|pair| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8)).collect()
}
