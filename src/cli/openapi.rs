//! `usher openapi`

use anyhow::{Context, Result};
use std::io::Write;

pub(super) fn run() -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(crate::http::spec().as_bytes()).and_then(|()| out.flush()).context("standard output can't be written")
}
