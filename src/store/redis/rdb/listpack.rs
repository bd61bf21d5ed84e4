//! Listpacks (`redis/src/listpack.c`): read with every length checked, and written.
//!
//! Six bytes of head (total bytes u32, elements u16, both little-endian; 65535 elements means
//! unknown), the elements, and 0xff. An element is its encoding with its data, and then the length
//! of both, so that it can be read backwards.

use super::{Decimal, damaged};
use crate::error::Result;

const HEAD: usize = 6;
const END: u8 = 0xff;
const UNKNOWN: u16 = u16::MAX;

/// An element of a packed encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed<'a> {
    /// A byte string.
    Bytes(&'a [u8]),
    /// A number, which stands for its decimal digits.
    Integer(i64),
}

impl<'a> Packed<'a> {
    /// The string that it stands for; `room` lends a number its digits.
    pub fn text<'b>(self, room: &'b mut Option<Decimal>) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Integer(number) => room.insert(Decimal::of(number)).text(),
        }
    }

    /// The number, where it is one.
    pub fn integer(self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(number),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
        }
    }
}

/// The elements of a listpack, front to back.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    bytes: &'a [u8],
    at: usize,
    seen: u64,
    declared: Option<u16>,
}

impl<'a> Elements<'a> {
    /// Checks the head and the end of `bytes`, which must be one whole listpack.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let total = bytes.first_chunk::<4>().map(|total| u32::from_le_bytes(*total));
        if bytes.len() <= HEAD
            || total.map(u64::from) != Some(bytes.len() as u64)
            || bytes.last() != Some(&END)
        {
            return Err(damaged("a listpack has an impossible length"));
        }
        let count = u16::from_le_bytes([bytes[4], bytes[5]]);
        let declared = (count != UNKNOWN).then_some(count);
        Ok(Self { bytes: &bytes[..bytes.len() - 1], at: HEAD, seen: 0, declared })
    }

    /// How many elements the head declares, where it knows.
    pub fn declared(&self) -> Option<u64> {
        self.declared.map(u64::from)
    }

    /// The next element, or `None` after the last.
    pub fn next_element(&mut self) -> Result<Option<Packed<'a>>> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            if self.declared.is_some_and(|declared| u64::from(declared) != self.seen) {
                return Err(damaged("a listpack holds another number of elements than it says"));
            }
            return Ok(None);
        }
        let (element, length) = decode(rest)?;
        let mut back = [0; 5];
        let backwards = back_length(length, &mut back);
        if rest.get(length..length + backwards.len()) != Some(backwards) {
            return Err(damaged("a listpack element cannot be read backwards"));
        }
        self.at += length + backwards.len();
        self.seen += 1;
        Ok(Some(element))
    }

    /// The next element, which must be there.
    pub fn expect(&mut self) -> Result<Packed<'a>> {
        self.next_element()?.ok_or_else(|| damaged("a listpack ends too early"))
    }

    /// The next element, which must be a number.
    pub fn expect_integer(&mut self) -> Result<i64> {
        self.expect()?.integer().ok_or_else(|| damaged("a listpack lacks a number"))
    }

    /// The next element, which must be a count.
    pub fn expect_count(&mut self) -> Result<u64> {
        u64::try_from(self.expect_integer()?).map_err(|_| damaged("a listpack count is negative"))
    }
}

/// The element that `bytes` begins with, and the length of its encoding and data.
fn decode(bytes: &[u8]) -> Result<(Packed<'_>, usize)> {
    let torn = || damaged("a listpack element breaks off");
    let first = *bytes.first().ok_or_else(torn)?;
    let number = |width: usize| -> Result<(Packed<'_>, usize)> {
        let data = bytes.get(1..=width).ok_or_else(torn)?;
        Ok((Packed::Integer(little_endian(data)), width + 1))
    };
    let string = |head: usize, length: usize| -> Result<(Packed<'_>, usize)> {
        let end = head.checked_add(length).ok_or_else(torn)?;
        Ok((Packed::Bytes(bytes.get(head..end).ok_or_else(torn)?), end))
    };
    match first {
        0x00..=0x7f => Ok((Packed::Integer(i64::from(first)), 1)),
        0x80..=0xbf => string(1, usize::from(first & 0x3f)),
        0xc0..=0xdf => {
            let low = *bytes.get(1).ok_or_else(torn)?;
            let unsigned = i64::from(first & 0x1f) << 8 | i64::from(low);
            Ok((
                Packed::Integer(if unsigned >= 1 << 12 { unsigned - (1 << 13) } else { unsigned }),
                2,
            ))
        }
        0xe0..=0xef => {
            let low = *bytes.get(1).ok_or_else(torn)?;
            string(2, usize::from(first & 0x0f) << 8 | usize::from(low))
        }
        0xf0 => {
            let length = bytes.get(1..5).and_then(<[u8]>::first_chunk).ok_or_else(torn)?;
            string(5, usize::try_from(u32::from_le_bytes(*length)).map_err(|_| torn())?)
        }
        0xf1 => number(2),
        0xf2 => number(3),
        0xf3 => number(4),
        0xf4 => number(8),
        _ => Err(damaged("a listpack element has an unknown encoding")),
    }
}

/// A little-endian two's complement number of up to eight bytes.
pub fn little_endian(data: &[u8]) -> i64 {
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(data) {
        *to = *from;
    }
    let spare = 64 - 8 * data.len().clamp(1, 8) as u32;
    (i64::from_le_bytes(word) << spare) >> spare
}

/// The length that stands behind an element, high bits first, seven bits a byte; all bytes but the
/// first have the high bit set.
fn back_length(length: usize, room: &mut [u8; 5]) -> &[u8] {
    let bytes = match length {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    };
    for (position, byte) in room.iter_mut().take(bytes).enumerate() {
        let group = (length >> (7 * (bytes - 1 - position))) & 0x7f;
        *byte = group as u8 | if position == 0 { 0 } else { 0x80 };
    }
    &room[..bytes]
}

/// Builds a listpack.
#[derive(Debug, Default)]
pub struct Builder {
    bytes: Vec<u8>,
    count: u64,
}

impl Builder {
    /// Begins anew, in the same buffer.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&[0; HEAD]);
        self.count = 0;
    }

    /// Appends a number.
    pub fn integer(&mut self, number: i64) {
        let from = self.bytes.len();
        match number {
            0..=127 => self.bytes.push(number as u8),
            -4096..=4095 => {
                let unsigned = (number & 0x1fff) as u16;
                self.bytes.extend_from_slice(&(unsigned | 0xc000).to_be_bytes());
            }
            _ => {
                let (mark, width) = match number {
                    -32_768..=32_767 => (0xf1, 2),
                    -8_388_608..=8_388_607 => (0xf2, 3),
                    -2_147_483_648..=2_147_483_647 => (0xf3, 4),
                    _ => (0xf4, 8),
                };
                self.bytes.push(mark);
                self.bytes.extend_from_slice(&number.to_le_bytes()[..width]);
            }
        }
        self.finish_element(from);
    }

    /// Appends a string; one that a number would stand for is stored as the number, as the server
    /// does.
    pub fn string(&mut self, value: &[u8]) -> Result<()> {
        if let Some(number) = exact_integer(value) {
            self.integer(number);
            return Ok(());
        }
        let from = self.bytes.len();
        match value.len() {
            length @ 0..=63 => self.bytes.push(0x80 | length as u8),
            length @ 64..=4095 => {
                self.bytes.extend_from_slice(&(length as u16 | 0xe000).to_be_bytes());
            }
            length => {
                let length =
                    u32::try_from(length).map_err(|_| damaged("an element is too long"))?;
                self.bytes.push(0xf0);
                self.bytes.extend_from_slice(&length.to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(value);
        self.finish_element(from);
        Ok(())
    }

    fn finish_element(&mut self, from: usize) {
        let mut room = [0; 5];
        let back = back_length(self.bytes.len() - from, &mut room);
        self.bytes.extend_from_slice(back);
        self.count += 1;
    }

    /// Copies the elements of another listpack that is being built.
    pub fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(other.bytes.get(HEAD..).unwrap_or_default());
        self.count += other.count;
    }

    /// The finished listpack.
    pub fn finish(&mut self) -> Result<&[u8]> {
        self.bytes.push(END);
        let total = u32::try_from(self.bytes.len())
            .map_err(|_| damaged("a stream node becomes too large"))?;
        let count = u16::try_from(self.count).unwrap_or(UNKNOWN);
        self.bytes[..4].copy_from_slice(&total.to_le_bytes());
        self.bytes[4..HEAD].copy_from_slice(&count.to_le_bytes());
        Ok(&self.bytes)
    }
}

/// The number whose digits are exactly `text`.
fn exact_integer(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 20 || !(text[0] == b'-' || text[0].is_ascii_digit()) {
        return None;
    }
    let number = std::str::from_utf8(text).ok()?.parse().ok()?;
    (Decimal::of(number).text() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        let (mut elements, mut out) = (Elements::new(bytes)?, Vec::new());
        while let Some(element) = elements.next_element()? {
            out.push(element.text(&mut None).to_vec());
        }
        Ok(out)
    }

    #[test]
    fn what_is_built_reads_back() {
        let mut values: Vec<Vec<u8>> = [
            0_i64,
            1,
            127,
            128,
            -1,
            4095,
            -4096,
            4096,
            -4097,
            32_767,
            -32_768,
            32_768,
            8_388_607,
            -8_388_608,
            8_388_608,
            i64::from(i32::MAX),
            i64::from(i32::MIN),
            i64::MAX,
            i64::MIN,
        ]
        .iter()
        .map(|number| number.to_string().into_bytes())
        .collect();
        for length in [0, 1, 63, 64, 125, 126, 4095, 4096, 16_378, 16_384, 2_097_151] {
            values.push(vec![b'x'; length]);
        }
        values.extend([b"007".to_vec(), b"-0".to_vec(), b"+1".to_vec(), vec![0, 255]]);
        let mut builder = Builder::default();
        builder.clear();
        for value in &values {
            builder.string(value).unwrap();
        }
        assert_eq!(all(builder.finish().unwrap()).unwrap(), values);
    }

    #[test]
    fn every_truncation_and_every_wrong_count_is_an_error() {
        let mut builder = Builder::default();
        builder.clear();
        for value in ["one", "2", "a longer string that is not a number"] {
            builder.string(value.as_bytes()).unwrap();
        }
        let good = builder.finish().unwrap().to_vec();
        for cut in 0..good.len() {
            let mut bad = good[..cut].to_vec();
            assert!(all(&bad).is_err());
            if let Some(head) = bad.get_mut(..4) {
                head.copy_from_slice(&(cut as u32).to_le_bytes());
            }
            assert!(all(&bad).is_err());
        }
        let mut bad = good;
        bad[4] += 1;
        assert!(all(&bad).is_err());
    }
}
