//! A real browser: Chromium, which `.ci/run` installs.

use std::process::Command;

/// Opens a page in a fresh browser, and returns what its scripts have made of it.
pub fn page(url: &str) -> String {
    let profile = tempfile::tempdir().expect("a folder for the browser");
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--virtual-time-budget=30000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(url)
        .output()
        .expect("chromium is installed");
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!page.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    page
}
