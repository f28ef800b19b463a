//! Uses of sessions and of app tokens, collected in memory and written together.

use crate::domain::Timestamp;
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

/// The last uses that wait to be written, by id.
pub(in crate::app) struct Uses<I>(Mutex<HashMap<I, Timestamp>>);

impl<I> Default for Uses<I> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<I: Clone + Eq + Hash> Uses<I> {
    pub fn gather(&self, id: &I, at: Timestamp) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = uses.entry(id.clone()).or_insert(at);
        *latest = at.max(*latest);
    }

    pub fn of(&self, id: &I) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }

    pub fn waiting(&self) -> HashMap<I, Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets uses that were written, but not later ones. Until then requests can still find them here.
    pub fn settle(&self, written: &HashMap<I, Timestamp>) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uses.retain(|id, at| written.get(id) != Some(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SessionId;

    #[test]
    fn a_use_that_comes_while_others_are_written_waits_for_the_next_time() {
        let (uses, at) = (Uses::default(), Timestamp::from_millis);
        let (first, second) = (SessionId::generate(), SessionId::generate());
        uses.gather(&first, at(10));
        uses.gather(&second, at(10));
        let written = uses.waiting();
        uses.gather(&first, at(20));

        uses.settle(&written);

        assert_eq!((uses.of(&first), uses.of(&second)), (Some(at(20)), None));
        assert_eq!(uses.waiting().len(), 1);
    }

    #[test]
    fn the_latest_use_is_the_one_that_counts() {
        let (uses, at, session) = (Uses::default(), Timestamp::from_millis, SessionId::generate());
        for time in [20, 30, 10] {
            uses.gather(&session, at(time));
        }
        assert_eq!(uses.of(&session), Some(at(30)));
    }
}
