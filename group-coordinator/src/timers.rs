//! What is due when.

use std::collections::BTreeMap;

use crate::ids::Millis;

/// Names a timer of a [`crate::Shard`]. Scheduling a key again moves it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKey {
    /// The session of a member, or the wait for a pending one to come back.
    Session { group_id: String, member_id: String },
    /// The end of the time for joining a generation.
    Join { group_id: String },
    /// The end of the time for syncing with a generation.
    Sync { group_id: String },
    /// The next search for expired offsets and groups.
    Expiry,
}

/// What a timer of a [`crate::Shard`] has to remember until it fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// The key says it all.
    Plain,
    /// The first rebalance of an empty group: the delay just spent, and what may still be spent waiting.
    InitialJoin { delay_ms: i32, remaining_ms: i32 },
    /// The generation whose members had to sync.
    Sync { generation: i32 },
}

/// Pending timers, each with a name and what it has to remember until it fires. Those due at the same moment fire in
/// the order in which they were scheduled.
#[derive(Debug)]
pub struct Timers<K = TimerKey, A = Alarm> {
    due: BTreeMap<(Millis, u64), (K, A)>,
    slots: BTreeMap<K, (Millis, u64)>,
    scheduled_count: u64,
}

impl<K, A> Default for Timers<K, A> {
    fn default() -> Self {
        Self {
            due: BTreeMap::new(),
            slots: BTreeMap::new(),
            scheduled_count: 0,
        }
    }
}

impl<K: Ord + Clone, A> Timers<K, A> {
    pub fn schedule(&mut self, key: K, deadline: Millis, alarm: A) {
        self.cancel(&key);
        let slot = (deadline, self.scheduled_count);
        self.scheduled_count += 1;
        self.slots.insert(key.clone(), slot);
        self.due.insert(slot, (key, alarm));
    }

    pub fn cancel(&mut self, key: &K) {
        if let Some(slot) = self.slots.remove(key) {
            self.due.remove(&slot);
        }
    }

    pub fn next_deadline(&self) -> Option<Millis> {
        self.due.keys().next().map(|&(deadline, _)| deadline)
    }

    /// Takes out one timer that is due at `now` and was scheduled before the mark, if there is one.
    pub fn pop_due(&mut self, now: Millis, mark: TimerMark) -> Option<(K, A)> {
        let slot = self
            .due
            .keys()
            .copied()
            .take_while(|&(deadline, _)| deadline <= now)
            .find(|&(_, sequence)| sequence < mark.0)?;
        let (key, alarm) = self.due.remove(&slot).expect("the slot was just found");
        self.slots.remove(&key);
        Some((key, alarm))
    }

    /// Separates the timers scheduled so far from those to come, so that a timer that schedules itself with
    /// no delay fires once per tick and not forever.
    pub fn mark(&self) -> TimerMark {
        TimerMark(self.scheduled_count)
    }
}

/// See [`Timers::mark`].
#[derive(Debug, Clone, Copy)]
pub struct TimerMark(u64);

#[cfg(test)]
mod tests {
    use super::*;

    fn join(group_id: &str) -> TimerKey {
        TimerKey::Join {
            group_id: group_id.to_owned(),
        }
    }

    fn fired(timers: &mut Timers, now: i64) -> Vec<TimerKey> {
        let mark = timers.mark();
        std::iter::from_fn(|| timers.pop_due(Millis(now), mark).map(|(key, _)| key)).collect()
    }

    /// Three timers, one moved, one cancelled: what fires, and when the next one is due.
    #[test]
    fn timers_fire_by_deadline_then_by_age() {
        let mut timers = Timers::default();
        timers.schedule(join("late"), Millis(30), Alarm::Plain);
        timers.schedule(join("moved"), Millis(1), Alarm::Plain);
        timers.schedule(join("first"), Millis(20), Alarm::Plain);
        timers.schedule(join("moved"), Millis(20), Alarm::Plain);
        timers.schedule(join("cancelled"), Millis(5), Alarm::Plain);
        timers.cancel(&join("cancelled"));

        assert_eq!(timers.next_deadline(), Some(Millis(20)));
        assert_eq!(fired(&mut timers, 19), []);
        assert_eq!(fired(&mut timers, 25), [join("first"), join("moved")]);
        assert_eq!(fired(&mut timers, 30), [join("late")]);
        assert_eq!(timers.next_deadline(), None);
    }

    /// A timer scheduled again while it fires waits for the next tick, even when it is due at once.
    #[test]
    fn a_timer_scheduled_during_a_tick_waits_for_the_next() {
        let mut timers = Timers::default();
        timers.schedule(join("group"), Millis(0), Alarm::Plain);
        let mark = timers.mark();
        assert!(timers.pop_due(Millis(0), mark).is_some());
        timers.schedule(join("group"), Millis(0), Alarm::Plain);
        assert!(timers.pop_due(Millis(0), mark).is_none());
        assert_eq!(fired(&mut timers, 0), [join("group")]);
    }
}
