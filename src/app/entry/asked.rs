//! Questions of proxies, gathered until they are written together.

use crate::domain::{AppId, Timestamp};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// When proxies last asked about apps, and from where: it waits to be written.
#[derive(Default)]
pub(in crate::app) struct Asked(Mutex<HashMap<AppId, (Timestamp, IpAddr)>>);

impl Asked {
    pub fn gather(&self, app: AppId, at: Timestamp, proxy: IpAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(app, (at, proxy));
    }

    /// Takes what waits. What then can't be written is lost: the next question brings it again.
    pub fn take(&self) -> HashMap<AppId, (Timestamp, IpAddr)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
