//! LZF decompression (`redis/src/lzf_d.c`), in one piece and in a stream.
//!
//! A control byte below 32 is followed by that many bytes plus one, as they are. Any other holds
//! in its upper three bits the length of a repeat (7: the next byte is added) and in its lower five
//! bits, with one more byte, how far back it begins.

use super::damaged;
use crate::error::Result;

/// How far back a repeat can begin, in bytes.
pub const WINDOW: usize = 1 << 13;

/// The most that `compressed` bytes can become: three bytes give at most 264.
pub fn largest_output(compressed: u64) -> u64 {
    compressed.saturating_mul(88).saturating_add(264)
}

/// Unpacks `input` onto the end of `out`: exactly `length` bytes, or an error.
pub fn decompress(input: &[u8], length: usize, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    let mut input = input;
    while let Some(step) = step(input, out, start)? {
        input = &input[step..];
        if out.len() - start > length {
            return Err(damaged("a compressed string is longer than it says"));
        }
    }
    if out.len() - start != length {
        return Err(damaged("a compressed string is shorter than it says"));
    }
    Ok(())
}

/// Unpacks what the first control byte of `input` stands for; `start` is where the string begins
/// in `out`. Returns how many bytes were used, or `None` at the end.
pub fn step(input: &[u8], out: &mut Vec<u8>, start: usize) -> Result<Option<usize>> {
    let torn = || damaged("a compressed string breaks off");
    let Some((&control, rest)) = input.split_first() else {
        return Ok(None);
    };
    let control = usize::from(control);
    if control < 32 {
        let literal = rest.get(..=control).ok_or_else(torn)?;
        out.extend_from_slice(literal);
        return Ok(Some(control + 2));
    }
    let (mut length, mut used) = (control >> 5, 1);
    if length == 7 {
        length += usize::from(*input.get(used).ok_or_else(torn)?);
        used += 1;
    }
    let low = usize::from(*input.get(used).ok_or_else(torn)?);
    let back = ((control & 31) << 8) + low + 1;
    repeat(out, start, back, length + 2)?;
    Ok(Some(used + 1))
}

/// Appends `length` bytes that begin `back` bytes before the end; they may overlap themselves.
fn repeat(out: &mut Vec<u8>, start: usize, back: usize, length: usize) -> Result<()> {
    let Some(from) = out.len().checked_sub(back).filter(|from| *from >= start) else {
        return Err(damaged("a compressed string refers to before its beginning"));
    };
    if back >= length {
        out.extend_from_within(from..from + length);
        return Ok(());
    }
    out.reserve(length);
    for position in from..from + length {
        let byte = out[position];
        out.push(byte);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::decompress;

    #[test]
    fn literals_and_overlapping_repeats() {
        let mut out = Vec::new();
        // "ab", then 10 bytes from 2 back.
        decompress(&[1, b'a', b'b', 0xe0, 1, 1], 12, &mut out).unwrap();
        assert_eq!(out, b"abababababab");
    }

    #[test]
    fn lies_are_errors() {
        let mut out = Vec::new();
        assert!(decompress(&[1, b'a', b'b'], 3, &mut out).is_err());
        assert!(decompress(&[1, b'a', b'b'], 1, &mut Vec::new()).is_err());
        assert!(decompress(&[1, b'a'], 2, &mut Vec::new()).is_err());
        assert!(decompress(&[0, b'a', 0x20, 1], 4, &mut Vec::new()).is_err());
        assert!(decompress(&[0, b'a', 0xe0], 4, &mut Vec::new()).is_err());
        // The output before the string is not part of it.
        assert!(decompress(&[0, b'a', 0x20, 3], 4, &mut vec![b'x'; 100]).is_err());
    }
}
