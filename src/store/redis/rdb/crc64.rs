//! CRC-64 as Redis computes it: polynomial 0xad93d23594c935a9 (Jones), reflected, start value and
//! final exclusive or zero. `redis/src/crc64.c`. It is not CRC-64/XZ.

/// The polynomial, bits reversed.
const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;

/// How many bytes one step of [`update`] takes.
const SLICES: usize = 16;

/// `TABLES[k][b]` is the register after the byte `b` and `k` zero bytes ("slicing by 16").
static TABLES: [[u64; 256]; SLICES] = tables();

const fn tables() -> [[u64; 256]; SLICES] {
    let mut tables = [[0_u64; 256]; SLICES];
    let mut byte = 0;
    while byte < 256 {
        let mut register = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            register = (register >> 1) ^ (POLYNOMIAL * (register & 1));
            bit += 1;
        }
        tables[0][byte] = register;
        byte += 1;
    }
    let mut slice = 1;
    while slice < SLICES {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[slice - 1][byte];
            tables[slice][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        slice += 1;
    }
    tables
}

/// The CRC of `bytes` appended to what `crc` already covers; begin with zero.
pub fn update(mut crc: u64, bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(SLICES);
    for chunk in &mut chunks {
        let mut word = [0_u8; 8];
        word.copy_from_slice(&chunk[..8]);
        let head = (crc ^ u64::from_le_bytes(word)).to_le_bytes();
        crc = 0;
        for (position, byte) in head.iter().enumerate() {
            crc ^= TABLES[15 - position][usize::from(*byte)];
        }
        for (position, byte) in chunk[8..].iter().enumerate() {
            crc ^= TABLES[7 - position][usize::from(*byte)];
        }
    }
    for byte in chunks.remainder() {
        crc = TABLES[0][usize::from(crc.to_le_bytes()[0] ^ byte)] ^ (crc >> 8);
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::update;

    #[test]
    fn the_check_value_of_redis() {
        assert_eq!(update(0, b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn any_split_gives_the_same() {
        let bytes: Vec<u8> = (0..1000_u32).map(|n| (n * 7 % 251) as u8).collect();
        let whole = update(0, &bytes);
        for split in [0, 1, 7, 15, 16, 17, 500, 999, 1000] {
            assert_eq!(update(update(0, &bytes[..split]), &bytes[split..]), whole);
        }
    }
}
