//! Encoding the consumer groups of a stream: as they are, or with the names and the pending entries
//! that the rules leave.

use super::encode::Encoder;
use super::sink::StreamEvent;
use crate::error::Result;
use crate::pipeline::transform::Part;

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
