//! Builds a key with ordinary commands, in pieces of bounded size.

use std::collections::BTreeMap;

use super::rdb::contents::KeyHasher;
use super::rdb::score_text;
use super::rdb::sink::Sink;
use super::rdb::sink::{StreamEvent, StreamId, StreamInfo};
use super::rdb::stream::Entries;
use super::reply::{put_argument, put_command, put_command_head};
use crate::error::Result;

/// Bytes of arguments in one command, about.
const COMMAND: usize = 512 << 10;

/// Bytes of commands handed on at once, about.
const BATCH: usize = 1 << 20;

/// Takes finished commands and their number.
pub type Send<'a> = dyn FnMut(Vec<u8>, u64) -> Result<()> + 'a;

/// Turns a value into commands for the key `name`.
pub struct Rebuild<'a> {
    name: Vec<u8>,
    hasher: &'a mut KeyHasher,
    send: &'a mut Send<'a>,
    /// Whether the server knows what 7.0 added to streams.
    history: bool,
    commands: Vec<u8>,
    count: u64,
    verb: &'static [u8],
    arguments: Vec<u8>,
    number: usize,
    group: Vec<u8>,
    consumer: Vec<u8>,
    pending: BTreeMap<StreamId, (u64, u64)>,
}

impl<'a> Rebuild<'a> {
    /// Builds the key `name` with commands that go to `send`; its digest goes to `hasher`.
    pub fn new(
        name: &[u8],
        hasher: &'a mut KeyHasher,
        history: bool,
        send: &'a mut Send<'a>,
    ) -> Self {
        Self {
            name: name.to_vec(),
            hasher,
            send,
            history,
            commands: Vec::new(),
            count: 0,
            verb: b"",
            arguments: Vec::new(),
            number: 0,
            group: Vec::new(),
            consumer: Vec::new(),
            pending: BTreeMap::new(),
        }
    }

    /// Ends the key, which expires at `expires` (milliseconds since 1970).
    pub fn finish(mut self, expires: Option<u64>) -> Result<()> {
        self.end_command();
        if let Some(at) = expires {
            let at = at.min(i64::MAX as u64).to_string();
            let name = std::mem::take(&mut self.name);
            self.command(&[b"PEXPIREAT", &name, at.as_bytes()])?;
        }
        if self.count > 0 {
            (self.send)(self.commands, self.count)?;
        }
        Ok(())
    }

    fn command(&mut self, arguments: &[&[u8]]) -> Result<()> {
        put_command(&mut self.commands, arguments);
        self.count += 1;
        self.hand_on()
    }

    fn hand_on(&mut self) -> Result<()> {
        if self.commands.len() < BATCH {
            return Ok(());
        }
        (self.send)(std::mem::take(&mut self.commands), std::mem::take(&mut self.count))
    }

    /// Adds an element of `parts` to a command that takes many.
    fn element(&mut self, verb: &'static [u8], parts: &[&[u8]]) -> Result<()> {
        self.verb = verb;
        for part in parts {
            put_argument(&mut self.arguments, part);
            self.number += 1;
        }
        if self.arguments.len() >= COMMAND || self.number >= 4096 {
            self.end_command();
        }
        self.hand_on()
    }

    fn end_command(&mut self) {
        if self.number == 0 {
            return;
        }
        put_command_head(&mut self.commands, self.number + 2);
        put_argument(&mut self.commands, self.verb);
        put_argument(&mut self.commands, &self.name);
        self.commands.append(&mut self.arguments);
        self.number = 0;
        self.count += 1;
    }

    fn node(&mut self, master: StreamId, listpack: &[u8]) -> Result<()> {
        let mut entries = Entries::new(master, listpack)?;
        while let Some(mut entry) = entries.next_entry()? {
            if entry.deleted {
                continue;
            }
            let fields = usize::try_from(entry.count).unwrap_or(usize::MAX);
            put_command_head(&mut self.commands, fields.saturating_mul(2).saturating_add(3));
            put_argument(&mut self.commands, b"XADD");
            put_argument(&mut self.commands, &self.name);
            put_argument(&mut self.commands, entry.id.to_string().as_bytes());
            for _ in 0..entry.count {
                let (field, value) = entry.field()?;
                put_argument(&mut self.commands, field.text(&mut None));
                put_argument(&mut self.commands, value.text(&mut None));
            }
            self.count += 1;
            self.hand_on()?;
        }
        Ok(())
    }

    fn info(&mut self, info: StreamInfo) -> Result<()> {
        let name = self.name.clone();
        if info.length == 0 {
            // Nothing else makes an empty stream.
            self.command(&[b"XGROUP", b"CREATE", &name, b"pfdata", b"0", b"MKSTREAM"])?;
            self.command(&[b"XGROUP", b"DESTROY", &name, b"pfdata"])?;
        }
        let last = info.last_id.to_string();
        let mut command: Vec<&[u8]> = vec![b"XSETID", &name, last.as_bytes()];
        let (added, deleted);
        if let (Some((_, highest, entries)), true) = (info.history, self.history) {
            (added, deleted) = (entries.to_string(), highest.to_string());
            command.extend([b"ENTRIESADDED" as &[u8], added.as_bytes()]);
            command.extend([b"MAXDELETEDID" as &[u8], deleted.as_bytes()]);
        }
        self.command(&command)
    }

    fn begin_group(&mut self, group: &[u8], last: StreamId, read: Option<i64>) -> Result<()> {
        self.group = group.to_vec();
        self.pending.clear();
        let (name, last) = (self.name.clone(), last.to_string());
        let mut command: Vec<&[u8]> = vec![b"XGROUP", b"CREATE", &name, group, last.as_bytes()];
        let entries;
        if let (Some(read @ 0..), true) = (read, self.history) {
            entries = read.to_string();
            command.extend([b"ENTRIESREAD" as &[u8], entries.as_bytes()]);
        }
        self.command(&command)
    }

    fn claim(&mut self, id: StreamId) -> Result<()> {
        let (delivered, times) = self.pending.get(&id).copied().unwrap_or_default();
        let (name, group) = (self.name.clone(), self.group.clone());
        let consumer = self.consumer.clone();
        let id = id.to_string();
        let (delivered, times) = (delivered.to_string(), times.to_string());
        self.command(&[
            b"XCLAIM",
            &name,
            &group,
            &consumer,
            b"0",
            id.as_bytes(),
            b"TIME",
            delivered.as_bytes(),
            b"RETRYCOUNT",
            times.as_bytes(),
            b"FORCE",
            b"JUSTID",
        ])
    }
}

impl Sink for Rebuild<'_> {
    fn string(&mut self, value: &[u8]) -> Result<()> {
        self.hasher.string(value);
        let name = self.name.clone();
        self.command(&[b"SET", &name, value])
    }

    fn long_string(&mut self, _length: u64) -> Result<()> {
        self.hasher.begin_pieces();
        Ok(())
    }

    fn long_string_piece(&mut self, piece: &[u8]) -> Result<()> {
        self.hasher.piece(piece);
        let name = std::mem::take(&mut self.name);
        let done = self.command(&[b"APPEND", &name, piece]);
        self.name = name;
        done
    }

    fn begin(&mut self, _count: Option<u64>) -> Result<()> {
        Ok(())
    }

    fn item(&mut self, value: &[u8]) -> Result<()> {
        self.hasher.item(value);
        self.element(b"RPUSH", &[value])
    }

    fn member(&mut self, member: &[u8]) -> Result<()> {
        self.hasher.member(member);
        self.element(b"SADD", &[member])
    }

    fn scored(&mut self, member: &[u8], score: f64) -> Result<()> {
        self.hasher.scored(member, score);
        self.element(b"ZADD", &[score_text(score).as_bytes(), member])
    }

    fn field(&mut self, field: &[u8], value: &[u8]) -> Result<()> {
        self.hasher.field(field, value);
        self.element(b"HSET", &[field, value])
    }

    fn stream(&mut self, event: StreamEvent<'_>) -> Result<()> {
        self.hasher.stream(&event)?;
        match event {
            StreamEvent::Node(master, listpack) => self.node(master, listpack),
            StreamEvent::Info(info) => self.info(info),
            StreamEvent::Group(group, last, read, _) => self.begin_group(group, last, read),
            StreamEvent::Pending(id, delivered, times) => {
                self.pending.insert(id, (delivered, times));
                Ok(())
            }
            StreamEvent::Consumers(_) => Ok(()),
            StreamEvent::Consumer(consumer, _, _) => {
                self.consumer = consumer.to_vec();
                let (name, group) = (self.name.clone(), self.group.clone());
                self.command(&[b"XGROUP", b"CREATECONSUMER", &name, &group, consumer])
            }
            StreamEvent::Owned(id) => self.claim(id),
        }
    }
}
