//! What people in browsers need: the public URL, and apps whose proxies ask.

use super::super::{existing, policy::Stored};
use crate::{
    app,
    domain::{Origin, Registration},
    store::{Finding, Store},
};
use std::path::Path;

/// Findings about the pages, and about each app. Nothing where no server has been started on the database.
pub(super) fn look(database: &Path, stored: &Stored) -> Vec<Finding> {
    if stored.is_empty() {
        return vec![];
    }
    let public_url = stored.get("public-url").and_then(|text| Origin::parse(text).ok());
    let is_open = stored.get("registration").is_some_and(|mode| mode == Registration::Open.as_str());
    let of = |apps: &[_]| app::of_pages(public_url.as_ref(), is_open, apps);
    match existing(database).and_then(|path| Store::apps(&path)) {
        Ok(apps) => of(&apps),
        Err(error) => {
            let mut findings = of(&[]);
            findings.push(Finding::error("apps", error.to_string()));
            findings
        }
    }
}
