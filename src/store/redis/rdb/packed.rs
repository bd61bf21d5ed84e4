//! The older packed encodings: ziplists, zipmaps and intsets. Redis 6.2 and before write them.

use super::damaged;
use super::listpack::{Packed, little_endian};
use crate::error::Result;

/// The elements of a ziplist (`redis/src/ziplist.c`): total bytes u32, offset of the last element
/// u32, elements u16 (65535: unknown), the elements, 0xff.
#[derive(Debug)]
pub struct Ziplist<'a> {
    bytes: &'a [u8],
    at: usize,
    previous: usize,
    seen: u64,
    declared: Option<u16>,
}

const ZIPLIST_HEAD: usize = 10;

impl<'a> Ziplist<'a> {
    /// Checks the head and the end of `bytes`, which must be one whole ziplist.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let total = bytes.first_chunk::<4>().map(|total| u32::from_le_bytes(*total));
        if bytes.len() <= ZIPLIST_HEAD
            || total.map(u64::from) != Some(bytes.len() as u64)
            || bytes.last() != Some(&0xff)
        {
            return Err(damaged("a ziplist has an impossible length"));
        }
        let count = u16::from_le_bytes([bytes[8], bytes[9]]);
        let declared = (count != u16::MAX).then_some(count);
        let bytes = &bytes[..bytes.len() - 1];
        Ok(Self { bytes, at: ZIPLIST_HEAD, previous: 0, seen: 0, declared })
    }

    /// How many elements the head declares, where it knows.
    pub fn declared(&self) -> Option<u64> {
        self.declared.map(u64::from)
    }

    /// The next element, or `None` after the last.
    pub fn next_element(&mut self) -> Result<Option<Packed<'a>>> {
        let torn = || damaged("a ziplist element breaks off");
        let rest = &self.bytes[self.at..];
        let Some(&first) = rest.first() else {
            if self.declared.is_some_and(|declared| u64::from(declared) != self.seen) {
                return Err(damaged("a ziplist holds another number of elements than it says"));
            }
            return Ok(None);
        };
        let (previous, head) = if first == 254 {
            let long = rest.get(1..5).ok_or_else(torn)?;
            (little_endian(long) as u32 as usize, 5)
        } else {
            (usize::from(first), 1)
        };
        if first == 255 || previous != self.previous {
            return Err(damaged("a ziplist element does not know the one before it"));
        }
        let (element, length) = decode_ziplist(rest.get(head..).ok_or_else(torn)?)?;
        self.previous = head + length;
        self.at += head + length;
        self.seen += 1;
        Ok(Some(element))
    }
}

/// The element that `bytes` begins with, without the length of the previous one.
fn decode_ziplist(bytes: &[u8]) -> Result<(Packed<'_>, usize)> {
    let torn = || damaged("a ziplist element breaks off");
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
        0x00..=0x3f => string(1, usize::from(first)),
        0x40..=0x7f => {
            let low = *bytes.get(1).ok_or_else(torn)?;
            string(2, usize::from(first & 0x3f) << 8 | usize::from(low))
        }
        0x80 => {
            let length = bytes.get(1..5).and_then(<[u8]>::first_chunk).ok_or_else(torn)?;
            string(5, usize::try_from(u32::from_be_bytes(*length)).map_err(|_| torn())?)
        }
        0xc0 => number(2),
        0xd0 => number(4),
        0xe0 => number(8),
        0xf0 => number(3),
        0xfe => number(1),
        0xf1..=0xfd => Ok((Packed::Integer(i64::from(first & 0x0f) - 1), 1)),
        _ => Err(damaged("a ziplist element has an unknown encoding")),
    }
}

/// The fields and values of a zipmap (Redis before 2.6): a count, then per pair a length, the
/// field, a length, a byte of padding length, the value, the padding; 0xff at the end.
#[derive(Debug)]
pub struct Zipmap<'a> {
    rest: &'a [u8],
}

impl<'a> Zipmap<'a> {
    /// Checks the end of `bytes`, which must be one whole zipmap.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        match bytes {
            [_, rest @ .., 0xff] => Ok(Self { rest }),
            _ => Err(damaged("a zipmap has an impossible length")),
        }
    }

    /// The next field with its value, or `None` after the last.
    pub fn next_pair(&mut self) -> Result<Option<(&'a [u8], &'a [u8])>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let length = self.length()?;
        let field = self.take(length)?;
        let length = self.length()?;
        let padding = usize::from(self.take(1)?[0]);
        let value = self.take(length)?;
        self.take(padding)?;
        Ok(Some((field, value)))
    }

    fn length(&mut self) -> Result<usize> {
        match self.take(1)?[0] {
            254 => Ok(little_endian(self.take(4)?) as u32 as usize),
            255 => Err(damaged("a zipmap ends in the middle")),
            short => Ok(usize::from(short)),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| damaged("a zipmap element breaks off"))?;
        self.rest = rest;
        Ok(taken)
    }
}

/// The numbers of an intset (`redis/src/intset.c`), ascending: width u32, count u32, the numbers.
pub fn intset(bytes: &[u8]) -> Result<impl Iterator<Item = i64> + '_> {
    let bad = || damaged("an intset has an impossible length");
    let width = bytes.get(..4).map(little_endian);
    let count = bytes.get(4..8).map(|count| little_endian(count) as u32);
    let (Some(width @ (2 | 4 | 8)), Some(count)) = (width, count) else {
        return Err(bad());
    };
    let width = width as usize;
    if bytes.len() as u64 != 8 + u64::from(count) * width as u64 {
        return Err(bad());
    }
    let numbers = bytes[8..].chunks_exact(width).map(little_endian);
    if !numbers.clone().is_sorted_by(|a, b| a < b) {
        return Err(damaged("an intset is not in order"));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ziplist_of_every_encoding() {
        let body: &[u8] = &[
            0, 2, b'h', b'i', // "hi"
            4, 0xf1, // 0
            2, 0xfd, // 12
            2, 0xfe, 0xff, // -1
            3, 0xc0, 0x00, 0x80, // -32768
            4, 0xf0, 0x01, 0x02, 0x03, // 0x030201
            5, 0xd0, 0xff, 0xff, 0xff, 0x7f, // i32::MAX
            6, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x80, // i64::MIN
            10, 0x40, 1, b'x', // 14-bit length
            4, 0x80, 0, 0, 0, 1, b'y', // 32-bit length
        ];
        let mut bytes = vec![0; ZIPLIST_HEAD];
        bytes.extend_from_slice(body);
        bytes.push(0xff);
        let total = bytes.len() as u32;
        bytes[..4].copy_from_slice(&total.to_le_bytes());
        bytes[8] = 10;
        let read = |bytes: &[u8]| -> Result<Vec<String>> {
            let (mut list, mut out) = (Ziplist::new(bytes)?, Vec::new());
            while let Some(element) = list.next_element()? {
                out.push(String::from_utf8_lossy(element.text(&mut None)).into_owned());
            }
            Ok(out)
        };
        let expected = ["hi", "0", "12", "-1", "-32768", "197121", "2147483647"];
        let found = read(&bytes).unwrap();
        assert_eq!(found[..7], expected);
        assert_eq!(found[7..], [i64::MIN.to_string(), "x".to_owned(), "y".to_owned()]);
        bytes[14] = 3;
        assert!(read(&bytes).is_err());
    }

    #[test]
    fn zipmaps_and_intsets() {
        let mut map = Zipmap::new(&[1, 1, b'f', 2, 1, b'v', b'w', 0, 0xff]).unwrap();
        assert_eq!(map.next_pair().unwrap(), Some((&b"f"[..], &b"vw"[..])));
        assert_eq!(map.next_pair().unwrap(), None);
        assert!(Zipmap::new(&[1, 9, b'f', 0xff]).unwrap().next_pair().is_err());
        let set = [2, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 1, 0];
        assert_eq!(intset(&set).unwrap().collect::<Vec<_>>(), [-1, 1]);
        assert!(intset(&set[..11]).is_err());
        assert!(intset(&[2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0]).is_err());
    }
}
