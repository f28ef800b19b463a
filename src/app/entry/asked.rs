//! Questions of proxies, gathered until they are written together.

use crate::domain::{AppId, Door, Origin, Timestamp};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// What a proxy asked about, when, and from where.
#[derive(Debug, Clone)]
pub(in crate::app) struct Question {
    /// The app may have another one when this is written.
    pub origin: Origin,
    pub at: Timestamp,
    pub proxy: IpAddr,
}

/// When proxies last asked about apps, and from where: it waits to be written.
#[derive(Default)]
pub(in crate::app) struct Asked(Mutex<HashMap<AppId, Question>>);

impl Asked {
    pub fn gather(&self, door: &Door, at: Timestamp, proxy: IpAddr) {
        let question = Question { origin: door.origin.clone(), at, proxy };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(door.app, question);
    }

    /// Takes what waits. What then can't be written is lost: the next question brings it again.
    pub fn take(&self) -> HashMap<AppId, Question> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
