//! The consumer groups of a stream: written as they are, or with the names and the pending entries
//! that the rules leave.

use super::sink::StreamId;

/// What is known of a stream's groups while it is rewritten.
#[derive(Default)]
pub struct Groups {
    /// Entries that the rules left out: the first and the last of every run without a kept one
    /// between.
    pub(super) lost: Vec<(StreamId, StreamId)>,
    pub(super) in_run: bool,
    /// Counts groups, so that the consumers of each are told apart.
    pub(super) number: u64,
    /// The group whose pending entries are being counted.
    pub(super) group: Option<(Vec<u8>, StreamId, Option<i64>)>,
    pub(super) pending: Vec<(StreamId, u64, u64)>,
    /// The consumer whose pending entries are being counted, and how many are still to come.
    pub(super) consumer: Option<(Vec<u8>, u64, u64)>,
    pub(super) owned: Vec<StreamId>,
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
    pub(super) fn is_lost(&self, id: StreamId) -> bool {
        let run = self.lost.partition_point(|(first, _)| *first <= id);
        run.checked_sub(1).and_then(|run| self.lost.get(run)).is_some_and(|(_, last)| id <= *last)
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
