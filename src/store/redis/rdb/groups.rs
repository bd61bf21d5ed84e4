//! The consumer groups of a stream: written as they are, or with the names and the pending entries
//! that the rules leave.

use super::encode::Encoder;
use super::stream::{StreamEvent, StreamId};
use crate::error::Result;
use crate::pipeline::transform::Part;

/// What is known of a stream's groups while it is rewritten.
#[derive(Default)]
pub struct Groups {
    /// Entries that the rules left out: the first and the last of every run without a kept one
    /// between.
    lost: Vec<(StreamId, StreamId)>,
    in_run: bool,
    /// Counts groups, so that the consumers of each are told apart.
    number: u64,
    /// The group whose pending entries are being counted.
    group: Option<(Vec<u8>, StreamId, Option<i64>)>,
    pending: Vec<(StreamId, u64, u64)>,
    /// The consumer whose pending entries are being counted, and how many are still to come.
    consumer: Option<(Vec<u8>, u64, u64)>,
    owned: Vec<StreamId>,
}

impl Groups {
    /// Begins a stream.
    pub fn clear(&mut self) {
        self.lost.clear();
        (self.in_run, self.number) = (false, 0);
        (self.group, self.consumer) = (None, None);
        self.pending = Vec::new();
        self.owned = Vec::new();
    }

    /// Notes an entry that is left out; entries come in the order of their ids.
    pub fn lose(&mut self, id: StreamId) {
        match self.lost.last_mut() {
            Some((_, last)) if self.in_run => *last = id,
            _ => self.lost.push((id, id)),
        }
        self.in_run = true;
    }

    /// Notes an entry that stays.
    pub fn keep(&mut self) {
        self.in_run = false;
    }

    /// Whether an entry that may be pending is not there any more because of the rules.
    fn is_lost(&self, id: StreamId) -> bool {
        let run = self.lost.partition_point(|(first, _)| *first <= id);
        run.checked_sub(1).and_then(|run| self.lost.get(run)).is_some_and(|(_, last)| id <= *last)
    }
}

impl Encoder<'_, '_> {
    /// Writes a piece of a consumer group.
    pub(super) fn group(&mut self, event: &StreamEvent<'_>) -> Result<()> {
        match *event {
            StreamEvent::Node(..) | StreamEvent::Info(_) => {}
            StreamEvent::Group(name, last, read, pending) => {
                self.put(name)?;
                self.put_id(last);
                if self.shape.with_history {
                    self.put_number(read.unwrap_or(-1).cast_unsigned());
                }
                self.put_number(pending);
            }
            StreamEvent::Pending(id, delivered, times) => {
                self.put_bytes(&id.to_be())?;
                self.put_bytes(&delivered.to_le_bytes())?;
                self.put_number(times);
            }
            StreamEvent::Consumers(count) => self.put_number(count),
            StreamEvent::Consumer(name, seen, owned) => {
                self.put(name)?;
                self.put_bytes(&seen.to_le_bytes())?;
                self.put_number(owned);
            }
            StreamEvent::Owned(id) => self.put_bytes(&id.to_be())?,
        }
        self.hasher.stream(event)?;
        self.settle()
    }

    /// Writes a piece of a group with its new name. Where entries have been left out, what was
    /// pending of them goes too: then a group and a consumer wait until their entries are counted.
    pub(super) fn ruled_group(&mut self, event: &StreamEvent<'_>) -> Result<()> {
        let holds = !self.scratch.groups.lost.is_empty();
        match *event {
            StreamEvent::Group(name, last, read, pending) => {
                self.scratch.groups.number += 1;
                let name = self.of_group(Part::Group, name, 0)?;
                if !holds {
                    return self.group(&StreamEvent::Group(&name, last, read, pending));
                }
                self.scratch.groups.group = Some((name, last, read));
                Ok(())
            }
            StreamEvent::Pending(id, delivered, times) if holds => {
                let groups = &mut self.scratch.groups;
                if !groups.is_lost(id) {
                    groups.pending.push((id, delivered, times));
                }
                Ok(())
            }
            StreamEvent::Consumers(_) => {
                self.held_group()?;
                self.group(event)
            }
            StreamEvent::Consumer(name, seen, owned) => {
                let number = self.scratch.groups.number;
                let name = self.of_group(Part::Consumer, name, number)?;
                if !holds {
                    return self.group(&StreamEvent::Consumer(&name, seen, owned));
                }
                self.scratch.groups.consumer = Some((name, seen, owned));
                self.held_consumer()
            }
            StreamEvent::Owned(id) if holds => {
                let groups = &mut self.scratch.groups;
                if !groups.is_lost(id) {
                    groups.owned.push(id);
                }
                if let Some((_, _, left)) = &mut groups.consumer {
                    *left = left.saturating_sub(1);
                }
                self.held_consumer()
            }
            _ => self.group(event),
        }
    }

    /// Writes the group that was held back.
    fn held_group(&mut self) -> Result<()> {
        let Some((name, last, read)) = self.scratch.groups.group.take() else { return Ok(()) };
        let pending = std::mem::take(&mut self.scratch.groups.pending);
        self.group(&StreamEvent::Group(&name, last, read, pending.len() as u64))?;
        for (id, delivered, times) in pending {
            self.group(&StreamEvent::Pending(id, delivered, times))?;
        }
        Ok(())
    }

    /// Writes the consumer that was held back, once all of its entries have come.
    fn held_consumer(&mut self) -> Result<()> {
        let groups = &mut self.scratch.groups;
        let Some((name, seen, _)) = groups.consumer.take_if(|(_, _, left)| *left == 0) else {
            return Ok(());
        };
        let owned = std::mem::take(&mut groups.owned);
        self.group(&StreamEvent::Consumer(&name, seen, owned.len() as u64))?;
        owned.into_iter().try_for_each(|id| self.group(&StreamEvent::Owned(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ms: u64) -> StreamId {
        StreamId { ms, sequence: 0 }
    }

    #[test]
    fn what_was_left_out_is_known_by_its_runs() {
        let mut groups = Groups::default();
        for (ms, lost) in [(1, true), (2, true), (3, false), (5, true), (7, false), (9, true)] {
            if lost { groups.lose(id(ms)) } else { groups.keep() }
        }
        assert_eq!(groups.lost.len(), 3);
        let lost: Vec<u64> = (0..12).filter(|ms| groups.is_lost(id(*ms))).collect();
        assert_eq!(lost, [1, 2, 5, 9]);
        groups.clear();
        assert!(!groups.is_lost(id(1)));
    }
}
