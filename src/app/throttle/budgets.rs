//! The state of all budgets: tables of a fixed size, with one timestamp for each budget.

use super::{
    keys::Key,
    limits::{Charge, Limit},
};
use std::collections::HashSet;

/// How many budgets of one limit are kept.
const ENTRIES: u32 = 131_072;
/// How many budgets share a bucket. A new one replaces the one that is closest to full.
const SLOTS: usize = 8;
/// An account's budget is stored only if it holds more attempts than this, so that filling the disk takes much
/// guessing.
const STORED_ABOVE: u64 = 10;
/// How far a clock must move to count as set. Smaller steps make little difference.
const CLOCK_SET_ABOVE_MILLIS: u64 = 3_600_000;

/// A budget as it is stored in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BudgetState {
    /// Its slot in the table, and the key of its row. So there are never more rows than slots.
    pub slot: u32,
    pub key: Key,
    /// When it will be full again.
    pub full_at: u64,
}

#[derive(Default)]
pub(super) struct Budgets {
    tables: [Table; Limit::ALL.len()],
    /// Slots of accounts that have changed since they were stored.
    changed: HashSet<u32>,
    /// Slots of accounts that may have a row.
    stored: HashSet<u32>,
    /// Slots whose rows must be stored again because the clock was set, even if few failures are left in them.
    stale: HashSet<u32>,
    /// How many milliseconds the wall clock is ahead of the steady one.
    clock_ahead: Option<i64>,
    /// Whether the clock was set since this was last stored.
    clock_was_set: bool,
}

impl Budgets {
    /// Milliseconds until one more attempt is allowed; 0 if it is allowed now.
    pub fn wait(&self, charge: &Charge, now: u64) -> u64 {
        let full_at = self.tables[charge.limit as usize].find(charge.key).max(now);
        (full_at + charge.rate.interval_millis()).saturating_sub(now + charge.rate.depth_millis())
    }

    pub fn take(&mut self, charge: &Charge, now: u64) {
        self.change(charge, |full_at| full_at.max(now) + charge.rate.interval_millis());
    }

    /// Gives back one attempt. A budget that was forgotten, or has filled up, stays full.
    pub fn give_back(&mut self, charge: &Charge, now: u64) {
        if self.tables[charge.limit as usize].find(charge.key) > now {
            self.change(charge, |full_at| full_at.saturating_sub(charge.rate.interval_millis()).max(1));
        }
    }

    pub fn fill(&mut self, charge: &Charge) {
        if self.tables[charge.limit as usize].find(charge.key) > 0 {
            self.change(charge, |_| 0);
        }
    }

    fn change(&mut self, charge: &Charge, change: impl FnOnce(u64) -> u64) {
        let table = &mut self.tables[charge.limit as usize];
        let slot = table.slot(charge.key);
        let full_at = table.full_at(slot);
        *full_at = change(*full_at);
        if charge.limit == Limit::Account {
            self.changed.insert(slot);
        }
    }

    /// Restores a stored budget of an account. One in the wrong slot is ignored.
    pub fn resume(&mut self, account: BudgetState) {
        let table = &mut self.tables[Limit::Account as usize];
        if table.place(account).is_some() {
            self.stored.insert(account.slot);
        }
    }

    /// Observes how many milliseconds the clock is ahead of the steady one, and returns whether it was set since the
    /// last call.
    pub fn observe_clock(&mut self, ahead: i64) -> bool {
        if self.clock_ahead.is_some_and(|before| before.abs_diff(ahead) > CLOCK_SET_ABOVE_MILLIS) {
            self.clock_ahead = None;
            self.clock_was_set = true;
            self.stale.extend(&self.stored);
        }
        self.clock_ahead.get_or_insert(ahead);
        std::mem::take(&mut self.clock_was_set)
    }

    /// Returns the accounts' budgets that have changed since the last call, by slot. `None`: delete the row.
    pub fn take_changed(&mut self, now: u64) -> Vec<(u32, Option<BudgetState>)> {
        let least = now + STORED_ABOVE * Limit::Account.rate().interval_millis();
        let table = &self.tables[Limit::Account as usize];
        let (changed, stale) = (std::mem::take(&mut self.changed), std::mem::take(&mut self.stale));
        let stale = stale.difference(&changed).map(|slot| table.at(*slot)).filter(|state| state.full_at > now);
        let mut rows: Vec<_> = stale.map(|state| (state.slot, Some(state))).collect();
        let stored = &mut self.stored;
        for state in changed.into_iter().map(|slot| table.at(slot)) {
            if state.full_at > least {
                stored.insert(state.slot);
                rows.push((state.slot, Some(state)));
            } else if stored.remove(&state.slot) {
                rows.push((state.slot, None));
            }
        }
        rows
    }

    /// Puts back what could not be stored: slots, whether each was to have a row, and whether the clock was set.
    pub fn put_back(&mut self, rows: impl Iterator<Item = (u32, bool)>, clock_was_set: bool) {
        for (slot, stands) in rows {
            if stands { &mut self.stale } else { &mut self.changed }.insert(slot);
            self.stored.insert(slot);
        }
        self.clock_was_set |= clock_was_set;
    }
}

/// A fixed number of budgets in buckets. It takes memory as it fills, and never more than 3 MiB.
struct Table {
    /// For each slot of each bucket: the key in two halves, and the time when the budget is full again.
    buckets: Vec<[[u64; 3]; SLOTS]>,
}

impl Default for Table {
    fn default() -> Self {
        Self { buckets: vec![[[0; 3]; SLOTS]; ENTRIES as usize / SLOTS] }
    }
}

impl Table {
    fn halves(key: Key) -> [u64; 2] {
        let (first, second) = key.split_at(8);
        [first, second].map(|half| u64::from_be_bytes(half.try_into().expect("half a key has eight bytes")))
    }

    #[allow(clippy::cast_possible_truncation, reason = "the remainder is below the number of buckets")]
    fn bucket(&self, key: [u64; 2]) -> usize {
        (key[0] % self.buckets.len() as u64) as usize
    }

    /// When a budget is full again; 0 if it is unknown.
    fn find(&self, key: Key) -> u64 {
        let key = Self::halves(key);
        let slots = self.buckets[self.bucket(key)].iter();
        slots.filter(|slot| slot[..2] == key).map(|slot| slot[2]).next().unwrap_or(0)
    }

    /// The slot of a budget. A new budget replaces the one that is full first.
    #[allow(clippy::cast_possible_truncation, reason = "a slot's number is below the number of entries")]
    fn slot(&mut self, key: Key) -> u32 {
        let key = Self::halves(key);
        let bucket = self.bucket(key);
        let slots = &mut self.buckets[bucket];
        let known = slots.iter().position(|slot| slot[..2] == key);
        let at = known.unwrap_or_else(|| {
            let emptiest = (0..SLOTS).min_by_key(|at| slots[*at][2]).unwrap_or(0);
            slots[emptiest] = [key[0], key[1], 0];
            emptiest
        });
        (bucket * SLOTS + at) as u32
    }

    fn full_at(&mut self, slot: u32) -> &mut u64 {
        let slot = slot as usize;
        &mut self.buckets[slot / SLOTS][slot % SLOTS][2]
    }

    fn at(&self, slot: u32) -> BudgetState {
        let [first, second, full_at] = self.buckets[slot as usize / SLOTS][slot as usize % SLOTS];
        let mut key = Key::default();
        key[..8].copy_from_slice(&first.to_be_bytes());
        key[8..].copy_from_slice(&second.to_be_bytes());
        BudgetState { slot, key, full_at }
    }

    /// Puts a budget back into its slot, if its key belongs there.
    fn place(&mut self, state: BudgetState) -> Option<()> {
        let (key, slot) = (Self::halves(state.key), state.slot as usize);
        let bucket = Some(self.bucket(key)).filter(|bucket| *bucket == slot / SLOTS)?;
        self.buckets[bucket][slot % SLOTS] = [key[0], key[1], state.full_at];
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(limit: Limit, n: u64) -> Charge {
        let mut key = Key::default();
        key[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        key[8..].copy_from_slice(&n.to_be_bytes());
        Charge { limit, rate: limit.rate(), key }
    }

    /// Of accounts that share a bucket.
    fn same_bucket(n: u8) -> Charge {
        let mut key = Key::default();
        key[15] = n + 1;
        Charge { key, ..charge(Limit::Account, 0) }
    }

    fn fail(budgets: &mut Budgets, n: u64, times: u64) {
        for _ in 0..times {
            budgets.take(&charge(Limit::Account, n), 1);
        }
    }

    #[test]
    fn a_flood_takes_fixed_memory_and_forgets_nobody_who_guesses() {
        let mut budgets = Budgets::default();
        let guesser = charge(Limit::Reset, 0);
        for _ in 0..30 {
            budgets.take(&guesser, 1);
        }
        for n in 1..1_000_000 {
            budgets.take(&charge(Limit::Reset, n), 1);
        }
        assert!(budgets.wait(&guesser, 1) > 0);
        assert_eq!(budgets.tables[Limit::Reset as usize].buckets.capacity() * SLOTS, ENTRIES as usize);
        assert!(budgets.changed.is_empty());
    }

    #[test]
    fn filling_a_budget_of_which_nothing_is_known_forgets_no_other() {
        let mut budgets = Budgets::default();
        let all = u8::try_from(SLOTS).unwrap();
        (0..all).for_each(|n| budgets.take(&same_bucket(n), 1));

        budgets.fill(&same_bucket(all));

        assert!((0..all).all(|n| budgets.tables[Limit::Account as usize].find(same_bucket(n).key) > 0));
    }

    #[test]
    fn an_account_is_stored_once_more_than_ten_failures_stand_in_its_budget() {
        let mut budgets = Budgets::default();
        fail(&mut budgets, 7, 10);
        assert_eq!(budgets.take_changed(1), []);
        fail(&mut budgets, 7, 1);
        let [(slot, Some(state))] = budgets.take_changed(1)[..] else { panic!("it is stored") };
        assert_eq!((state.slot, state.key), (slot, charge(Limit::Account, 7).key));
        assert_eq!(state.full_at, 1 + 11 * Limit::Account.rate().interval_millis());
        assert_eq!(budgets.take_changed(1), [], "once");

        budgets.give_back(&charge(Limit::Account, 7), 1);
        assert_eq!(budgets.take_changed(1), [(slot, None)], "and no longer than that");
        budgets.give_back(&charge(Limit::Account, 7), 1);
        assert_eq!(budgets.take_changed(1), [], "there is no row to delete");
    }

    #[test]
    fn a_flood_of_accounts_makes_no_more_rows_than_there_are_places_and_each_row_is_replaced() {
        let (mut budgets, mut rows) = (Budgets::default(), std::collections::HashMap::new());
        for n in 0..150_000 {
            fail(&mut budgets, n, 11);
            if n % 10_000 == 0 {
                rows.extend(budgets.take_changed(1));
            }
        }
        rows.extend(budgets.take_changed(1));
        assert!(rows.keys().all(|slot| *slot < ENTRIES));
        let state = |slot: u32| budgets.tables[Limit::Account as usize].at(slot);
        assert!(rows.iter().all(|(slot, row)| *row == Some(state(*slot))), "a row is what stands in its place");
        assert!(rows.len() > 100_000);
    }

    #[test]
    fn what_takes_the_place_of_a_stored_budget_takes_its_row_away() {
        let mut budgets = Budgets::default();
        for n in 0..8 {
            (0..11 + u64::from(n)).for_each(|_| budgets.take(&same_bucket(n), 1));
        }
        assert_eq!(budgets.take_changed(1).len(), 8);

        budgets.take(&same_bucket(8), 1);

        assert_eq!(budgets.wait(&Charge { rate: Limit::Account.rate(), ..same_bucket(0) }, 1), 0);
        let [(_, None)] = budgets.take_changed(1)[..] else { panic!("its row is deleted") };
    }

    #[test]
    fn what_could_not_be_stored_is_stored_the_next_time() {
        let mut budgets = Budgets::default();
        fail(&mut budgets, 7, 11);
        let rows = budgets.take_changed(1);
        budgets.put_back(rows.iter().map(|(slot, _)| (*slot, true)), false);
        assert_eq!(budgets.take_changed(1), rows);

        budgets.fill(&charge(Limit::Account, 7));
        let gone = budgets.take_changed(1);
        budgets.put_back(gone.iter().map(|(slot, _)| (*slot, false)), false);
        assert_eq!(budgets.take_changed(1), [(rows[0].0, None)]);
        assert_eq!(gone, [(rows[0].0, None)]);
    }

    #[test]
    fn once_the_clock_was_set_every_row_is_stored_again_whatever_is_left_in_it() {
        const HOUR: i64 = 3_600_000;
        let mut budgets = Budgets::default();
        assert!(!budgets.observe_clock(0), "the first look");
        for n in 1..=3 {
            fail(&mut budgets, n, 10 + n);
        }
        let rows = budgets.take_changed(1);
        let little_left = 12 * Limit::Account.rate().interval_millis(); // one interval in one, none in another
        for ahead in [HOUR, -HOUR, 0] {
            assert!(!budgets.observe_clock(ahead), "{ahead}: it keeps time");
            assert_eq!(budgets.take_changed(1), []);
        }

        assert!(budgets.observe_clock(HOUR + 1));

        let slots = |rows: &[(u32, Option<BudgetState>)]| {
            let mut slots: Vec<u32> = rows
                .iter()
                .filter_map(|(slot, row)| row.filter(|row| row.full_at > little_left + 1).map(|_| *slot))
                .collect();
            slots.sort_unstable();
            slots
        };
        let stored = budgets.take_changed(little_left + 1);
        assert_eq!((stored.len(), slots(&stored)), (1, slots(&rows)));
        assert!(!budgets.observe_clock(HOUR + 1) && budgets.take_changed(1).is_empty(), "once");

        budgets.put_back(stored.iter().map(|(slot, row)| (*slot, row.is_some())), true);
        assert!(budgets.observe_clock(HOUR + 1));
        assert_eq!(budgets.take_changed(little_left + 1), stored, "and again where it could not be stored");
    }

    #[test]
    fn budgets_of_one_bucket_are_resumed_each_in_its_own_place() {
        let mut budgets = Budgets::default();
        for n in 0..8 {
            (0..11 + u64::from(n)).for_each(|_| budgets.take(&same_bucket(n), 1));
        }
        let rows = budgets.take_changed(1);
        assert_eq!(rows.len(), 8);

        let mut again = Budgets::default();
        for (_, row) in &rows {
            again.resume(row.unwrap());
        }

        let full_at = |budgets: &Budgets, n: u8| budgets.tables[Limit::Account as usize].find(same_bucket(n).key);
        for n in 0..8 {
            assert_eq!(full_at(&again, n), full_at(&budgets, n), "{n}");
        }
    }

    #[test]
    fn a_stored_budget_is_taken_up_only_where_it_belongs() {
        let mut budgets = Budgets::default();
        fail(&mut budgets, 7, 11);
        let [(slot, Some(state))] = budgets.take_changed(1)[..] else { panic!("it is stored") };
        for elsewhere in [slot ^ 8, ENTRIES, u32::MAX] {
            let mut again = Budgets::default();
            again.resume(BudgetState { slot: elsewhere, ..state });
            assert_eq!(again.tables[Limit::Account as usize].find(state.key), 0, "{elsewhere}");
        }
        let mut again = Budgets::default();
        again.resume(state);
        assert_eq!(again.tables[Limit::Account as usize].find(state.key), state.full_at);
        again.fill(&charge(Limit::Account, 7));
        assert_eq!(again.take_changed(1), [(slot, None)], "its row is known");
    }
}
