//! Walks an RDB, one thing after the other.

use std::io::Read;

use super::input::Input;
use super::value::skip_module;
use super::{damaged, opcode};
use crate::error::{Error, Result};

/// The highest version whose changes are known here; higher ones are refused by name.
const NEWEST: u32 = 12;

/// The version since which a CRC stands at the end.
const FIRST_WITH_CRC: u32 = 5;

/// What comes next in an RDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A remark about the file: see [`FileReader::aux`].
    Aux,
    /// A function library: see [`FileReader::function`].
    Function,
    /// Data of a module that belongs to no key; it was passed over.
    ModuleAux,
    /// A key: see [`FileReader::key`]. Its value follows and must be read or passed over before
    /// the next item.
    Key,
    /// The end; the CRC was right, or there is none.
    End,
}

/// A key without its value.
#[derive(Debug, Default)]
pub struct Key {
    /// The index it belongs to.
    pub db: u64,
    /// Its name.
    pub name: Vec<u8>,
    /// How its value is encoded.
    pub kind: u8,
    /// When it expires, milliseconds since 1970; times before that count as 1970.
    pub expires: Option<u64>,
    /// Seconds since it was used.
    pub idle: Option<u64>,
    /// How often it is used, logarithmic.
    pub frequency: Option<u8>,
}

/// Reads an RDB item by item.
pub struct FileReader<R> {
    input: Input<R>,
    version: u32,
    key: Key,
    first: Vec<u8>,
    second: Vec<u8>,
}

impl<R: Read> FileReader<R> {
    /// Reads and checks the first nine bytes.
    pub fn open(source: R) -> Result<Self> {
        let mut input = Input::new(source);
        let magic: [u8; 9] = input.array()?;
        if magic.starts_with(b"VALKEY") {
            return Err(Error::not_built("reading the rdb format of valkey 9"));
        }
        let version = magic
            .strip_prefix(b"REDIS")
            .filter(|digits| digits.iter().all(u8::is_ascii_digit))
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u32>().ok())
            .ok_or_else(|| damaged("it does not begin as an rdb does"))?;
        if version == 0 || version > NEWEST {
            return Err(Error::not_built(format!("reading rdb version {version}")));
        }
        let (first, second) = (Vec::new(), Vec::new());
        Ok(Self { input, version, key: Key::default(), first, second })
    }

    /// The version in the head.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The bytes, to read or pass over a key's value.
    pub fn input(&mut self) -> &mut Input<R> {
        &mut self.input
    }

    /// The key that [`Item::Key`] announced, and the bytes of its value.
    pub fn key_and_input(&mut self) -> (&Key, &mut Input<R>) {
        (&self.key, &mut self.input)
    }

    /// The key that [`Item::Key`] announced.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Name and value of the remark that [`Item::Aux`] announced.
    pub fn aux(&self) -> (&[u8], &[u8]) {
        (&self.first, &self.second)
    }

    /// The source that [`Item::Function`] announced.
    pub fn function(&self) -> &[u8] {
        &self.first
    }

    /// The next item.
    pub fn next_item(&mut self) -> Result<Item> {
        (self.key.expires, self.key.idle, self.key.frequency) = (None, None, None);
        loop {
            match self.input.byte()? {
                opcode::AUX => {
                    self.input.string(&mut self.first)?;
                    self.input.string(&mut self.second)?;
                    return Ok(Item::Aux);
                }
                opcode::FUNCTION => {
                    self.input.string(&mut self.first)?;
                    return Ok(Item::Function);
                }
                opcode::MODULE_AUX => {
                    self.input.length()?;
                    skip_module(&mut self.input)?;
                    return Ok(Item::ModuleAux);
                }
                opcode::SELECT => self.key.db = self.input.length()?,
                opcode::RESIZE => {
                    self.input.length()?;
                    self.input.length()?;
                }
                opcode::SLOT_INFO => {
                    for _ in 0..3 {
                        self.input.length()?;
                    }
                }
                opcode::EXPIRE_MS => {
                    let at = i64::from_le_bytes(self.input.array()?);
                    self.key.expires = Some(u64::try_from(at).unwrap_or(0));
                }
                opcode::EXPIRE => {
                    let at = i64::from(i32::from_le_bytes(self.input.array()?));
                    self.key.expires = Some(u64::try_from(at).unwrap_or(0) * 1000);
                }
                opcode::IDLE => self.key.idle = Some(self.input.length()?),
                opcode::FREQUENCY => self.key.frequency = Some(self.input.byte()?),
                opcode::EOF => return self.end(),
                other @ 200.. => {
                    return Err(Error::not_built(format!("reading rdb opcode {other}")));
                }
                kind => {
                    self.key.kind = kind;
                    self.input.string(&mut self.key.name)?;
                    return Ok(Item::Key);
                }
            }
        }
    }

    fn end(&mut self) -> Result<Item> {
        if self.version < FIRST_WITH_CRC {
            return Ok(Item::End);
        }
        let computed = self.input.crc();
        let stored = u64::from_le_bytes(self.input.array()?);
        // Zero is written by servers with `rdbchecksum no`.
        if stored != 0 && stored != computed {
            return Err(damaged("its checksum (CRC64) does not match its content"));
        }
        Ok(Item::End)
    }
}
