//! COPY … TO STDOUT, read from the socket in large pieces.
//!
//! The messages are those of the frontend/backend protocol 3.0, "Message Formats": a byte that
//! says what it is, a big-endian u32 that counts itself and the body, and the body. The server
//! answers a Query with CopyOutResponse (`H`), CopyData (`d`) per row, CopyDone (`c`),
//! CommandComplete (`C`, "COPY n") and ReadyForQuery (`Z`); an ErrorResponse (`E`) may come
//! instead of any of them.

use std::time::Duration;

use tokio::time::timeout;

use super::reason::Told;
use super::socket::Loan;
use crate::error::{Error, OrFail, Result};
use crate::pipeline::block::{self, BLOCK_BYTES};

/// How much is asked of the socket at a time, in bytes: what fits the processor's own cache.
const READ_BYTES: usize = 256 << 10;
/// No other message of the server is longer, in bytes.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// After so long without a byte the server, or what lies between, is taken for dead. Keepalives
/// notice a peer that is gone, not one that is stopped.
const SILENCE: Duration = Duration::from_secs(600);
/// The byte that says what a message is, and its length.
const HEAD_BYTES: usize = 5;

/// What a call of [`CopyOut::block`] came to.
pub(super) enum Copied {
    /// A block of whole rows, and the copy that goes on.
    Block(Vec<u8>, CopyOut),
    /// The copy is done: the last rows, which may be none, and how many the server counted.
    Last(Vec<u8>, u64),
}

/// A COPY under way on a stream that the driver has lent.
pub(super) struct CopyOut {
    loan: Loan,
    /// What was read, of which `start..end` is not looked at yet.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// What is left of the body of a CopyData message that is not whole yet.
    left: usize,
    /// How many rows the server says it sent, once it does.
    rows: Option<u64>,
}

impl CopyOut {
    /// Sends the statement.
    pub(super) async fn begin(mut loan: Loan, statement: &str) -> Result<Self> {
        let length = u32::try_from(statement.len() + 5).or_fail(|| "a statement is too long")?;
        let mut query = Vec::with_capacity(statement.len() + 6);
        query.push(b'Q');
        query.extend_from_slice(&length.to_be_bytes());
        query.extend_from_slice(statement.as_bytes());
        query.push(0);
        let written = timeout(SILENCE, loan.write(&query)).await;
        let written = written.map_err(|_| lost("it took nothing for ten minutes"))?;
        written.map_err(|error| lost(&error.to_string()))?;
        let bytes = vec![0; READ_BYTES];
        Ok(Self { loan, bytes, start: 0, end: 0, left: 0, rows: None })
    }

    /// The next block of whole rows. After [`Copied::Last`] the stream is the driver's again.
    ///
    /// # Errors
    ///
    /// If the server refuses or breaks off the copy, or the connection is lost.
    pub(super) async fn block(mut self) -> Result<Copied> {
        let mut block = block::buffer();
        loop {
            self.take_rows(&mut block);
            if block.len() >= BLOCK_BYTES && self.left == 0 && block.ends_with(b"\n") {
                return Ok(Copied::Block(block, self));
            }
            match self.message()? {
                Message::Wanting => self.fill().await?,
                Message::Taken => {}
                Message::Ready => {
                    let rows = self.rows.ok_or_else(unexpected)?;
                    self.loan.give_back();
                    return Ok(Copied::Last(block, rows));
                }
            }
        }
    }

    /// Appends what there is of CopyData messages, until the block is full or another message
    /// stands next. The path of every row.
    fn take_rows(&mut self, block: &mut Vec<u8>) {
        loop {
            let ready = &self.bytes[self.start..self.end];
            if self.left > 0 {
                let taken = self.left.min(ready.len());
                block.extend_from_slice(&ready[..taken]);
                self.start += taken;
                self.left -= taken;
                if self.left > 0 {
                    return;
                }
                continue;
            }
            let full = block.len() >= BLOCK_BYTES && block.ends_with(b"\n");
            match ready.first_chunk::<HEAD_BYTES>() {
                Some(&[b'd', a, b, c, d]) if !full => {
                    // A length below 4 is nonsense; it is met again, and told, as a message.
                    let Some(length) = u32::from_be_bytes([a, b, c, d]).checked_sub(4) else {
                        return;
                    };
                    self.start += HEAD_BYTES;
                    self.left = length as usize;
                }
                _ => return,
            }
        }
    }

    /// Looks at the next message, which is no CopyData.
    fn message(&mut self) -> Result<Message> {
        let ready = &self.bytes[self.start..self.end];
        let Some(&[tag, a, b, c, d]) = ready.first_chunk::<HEAD_BYTES>() else {
            return Ok(Message::Wanting);
        };
        if self.left > 0 {
            return Ok(Message::Wanting);
        }
        let length = (u32::from_be_bytes([a, b, c, d]) as usize).checked_sub(4);
        let length = length.filter(|length| *length <= MESSAGE_BYTES_MAX).ok_or_else(unexpected)?;
        let Some(body) = ready.get(HEAD_BYTES..HEAD_BYTES + length) else {
            return Ok(Message::Wanting);
        };
        self.start += HEAD_BYTES + length;
        match tag {
            b'E' => Err(Told::from_fields(body).error("rows cannot be read")),
            b'C' => {
                self.rows = Some(copied(body).ok_or_else(unexpected)?);
                Ok(Message::Taken)
            }
            b'Z' => Ok(Message::Ready),
            // CopyOutResponse, CopyDone, ParameterStatus, NoticeResponse.
            b'H' | b'c' | b'S' | b'N' => Ok(Message::Taken),
            _ => Err(unexpected()),
        }
    }

    /// Reads more behind what is not looked at yet.
    async fn fill(&mut self) -> Result<()> {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end == self.bytes.len() {
            self.bytes.resize(2 * self.bytes.len(), 0);
        }
        let read = timeout(SILENCE, self.loan.read(&mut self.bytes[self.end..])).await;
        let read = read.map_err(|_| lost("nothing came for ten minutes"))?;
        match read.map_err(|error| lost(&error.to_string()))? {
            0 => Err(lost("it was closed in the middle of the rows")),
            read => {
                self.end += read;
                Ok(())
            }
        }
    }
}

/// What a look at the next message came to.
enum Message {
    /// It is not whole yet.
    Wanting,
    Taken,
    /// The server is ready for another statement.
    Ready,
}

/// n of "COPY n".
fn copied(body: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(body.strip_suffix(b"\0")?).ok()?;
    text.strip_prefix("COPY ")?.parse().ok()
}

fn lost(why: &str) -> Error {
    Error::unreachable("the connection to postgres was lost").because(why)
}

fn unexpected() -> Error {
    Error::failed("the server sent what is no answer to COPY")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::socket::Shared;
    use super::*;
    use crate::error::Kind;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        bytes.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    /// What a server that sends `answer`, in pieces of `piece` bytes, is heard to say.
    async fn heard(answer: Vec<u8>, piece: usize) -> Result<(Vec<Vec<u8>>, u64)> {
        let (near, mut far) = tokio::io::duplex(piece);
        let server = tokio::spawn(async move {
            let mut query = [0; 12];
            far.read_exact(&mut query).await.unwrap();
            assert_eq!(&query, b"Q\0\0\0\x0bCOPY x\0");
            // A reader that has given up is no failure of the server's.
            far.write_all(&answer).await.ok();
        });
        let mut copy = CopyOut::begin(Shared::new(near).lend(), "COPY x").await?;
        let mut blocks = Vec::new();
        let heard = loop {
            match copy.block().await? {
                Copied::Block(block, next) => {
                    blocks.push(block);
                    copy = next;
                }
                Copied::Last(block, rows) => {
                    blocks.push(block);
                    break (blocks, rows);
                }
            }
        };
        server.await.unwrap();
        Ok(heard)
    }

    fn answer(rows: &[&[u8]], end: &[Vec<u8>]) -> Vec<u8> {
        let head = message(b'H', &[0, 0, 0]);
        let rows = rows.iter().flat_map(|row| message(b'd', row));
        head.into_iter().chain(rows).chain(end.concat()).collect()
    }

    fn done(rows: u64) -> [Vec<u8>; 3] {
        let count = format!("COPY {rows}\0");
        [message(b'c', b""), message(b'C', count.as_bytes()), message(b'Z', b"T")]
    }

    #[tokio::test]
    async fn rows_come_whole_however_the_bytes_arrive() {
        let long = [vec![b'x'; 300_000], b"\n".to_vec()].concat();
        let rows: [&[u8]; 4] = [b"a\t1\n", b"\n", &long, b"b\t2\n"];
        for piece in [1, 2, 3, 5, 7, 4096, 1 << 20] {
            let (blocks, count) = heard(answer(&rows, &done(4)), piece).await.unwrap();
            assert_eq!((blocks.concat(), count), (rows.concat(), 4), "{piece}");
        }
    }

    #[tokio::test]
    async fn blocks_are_cut_between_rows() {
        let row = [vec![b'y'; 99_999], b"\n".to_vec()].concat();
        let rows: Vec<&[u8]> = std::iter::repeat_n(&row[..], 25).collect();
        let (blocks, count) = heard(answer(&rows, &done(25)), 1 << 16).await.unwrap();
        assert_eq!((blocks.len(), count), (3, 25));
        assert!(blocks.iter().all(|block| block.ends_with(b"\n")));
        assert_eq!(blocks.concat(), row.repeat(25));
    }

    #[tokio::test]
    async fn a_row_may_come_in_several_messages_and_a_message_hold_several_rows() {
        let row = [vec![b'z'; BLOCK_BYTES], b"\n".to_vec()].concat();
        let (head, tail) = row.split_at(BLOCK_BYTES);
        let (blocks, _) = heard(answer(&[head, tail, b"1\n2\n"], &done(3)), 4096).await.unwrap();
        assert_eq!(blocks, [row, b"1\n2\n".to_vec()]);
    }

    #[tokio::test]
    async fn nothing_short_of_the_end_is_the_end() {
        let rows: [&[u8]; 1] = [b"a\n"];
        let [copy_done, complete, _] = done(1);
        for end in [vec![], vec![copy_done.clone()], vec![copy_done, complete]] {
            let error = heard(answer(&rows, &end), 4096).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Unreachable);
        }
        let bare = answer(&rows, &[message(b'Z', b"I")]);
        assert_eq!(heard(bare, 4096).await.unwrap_err().kind(), Kind::Failed);
        let other = answer(&rows, &[message(b'D', b"\0\0")]);
        assert_eq!(heard(other, 4096).await.unwrap_err().kind(), Kind::Failed);
        let nonsense = answer(&rows, &[vec![b'd', 0, 0, 0, 3]]);
        assert_eq!(heard(nonsense, 4096).await.unwrap_err().kind(), Kind::Failed);
    }

    #[tokio::test]
    async fn the_servers_error_is_told_without_values() {
        let refusal = b"SERROR\0VERROR\0C22P02\0Minvalid input: \"secret\"\0\0";
        let error = heard(answer(&[], &[message(b'E', refusal)]), 4096).await.unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains("22P02") && !text.contains("secret"), "{text}");
        let ended = b"SFATAL\0C57P01\0Mterminating connection\0\0";
        let error = heard(answer(&[b"a\n"], &[message(b'E', ended)]), 4096).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unreachable);
    }
}
