//! What people in browsers need: the public URL, and apps whose proxies ask.

use super::super::{existing, policy::Stored};
use crate::{
    domain::{App, AppAccess, LastAsked, Origin, Registration},
    store::{Finding, Store, Verdict},
};
use std::path::Path;

type Wrong = Vec<(Verdict, String)>;

/// Findings about the pages, and about each app. Nothing where no server has been started on the database.
pub(super) fn look(database: &Path, stored: &Stored) -> Vec<Finding> {
    if stored.is_empty() {
        return vec![];
    }
    let public_url = stored.get("public-url").and_then(|text| Origin::parse(text).ok());
    let mut findings = vec![pages(public_url.as_ref())];
    match existing(database).and_then(|path| Store::apps(&path)) {
        Ok(apps) => {
            let is_open = stored.get("registration").is_some_and(|mode| mode == Registration::Open.as_str());
            findings.extend(apps.iter().map(|(app, asked)| check(app, *asked, public_url.as_ref(), is_open)));
        }
        Err(error) => findings.push(Finding::error("apps", error.to_string())),
    }
    findings
}

fn pages(public_url: Option<&Origin>) -> Finding {
    match public_url {
        None => Finding::warning(
            "pages",
            "nobody can sign in with a browser, and no app can be entered: start 'usher serve' with --public-url",
        ),
        Some(url) if !url.is_unprotected() => Finding::ok("pages", format!("at {url}")),
        Some(url) => Finding::warning(
            "pages",
            format!(
                "at {url}, without TLS: anybody on the network can read passwords; put a proxy with TLS in front, and start \
                 'usher serve' with --public-url and its https:// address"
            ),
        ),
    }
}

/// One app: whether it can be entered, whether its proxy asks, and who may enter without having been chosen.
fn check(app: &App, asked: Option<LastAsked>, public_url: Option<&Origin>, is_open: bool) -> Finding {
    let App { id, name, url, access, .. } = app;
    let mut wrong = Wrong::new();
    if let Some(public) = public_url {
        if public.host() == url.host() {
            let text = format!(
                "nobody can enter, for its host is that of the public URL {public}: give one of the two another"
            );
            wrong.push((Verdict::Error, text));
        } else if public.is_https() != url.is_https() {
            let scheme = if public.is_https() { "https" } else { "http" };
            let text = format!(
                "the public URL {public} begins with {scheme}://, and this one doesn't: 'usher app set {id} --url …'"
            );
            wrong.push((Verdict::Error, text));
        }
    }
    if *access == AppAccess::Everyone && is_open {
        let text = "everyone may enter, and registration is open, so anybody may who creates an account: choose \
                    --access groups or admins, or --registration invite";
        wrong.push((Verdict::Warning, text.to_owned()));
    }
    let asked = match asked {
        Some(LastAsked { at, from: Some(from) }) => format!("its proxy {from} last asked at {at}"),
        Some(LastAsked { at, from: None }) => format!("its proxy last asked at {at}"),
        None => {
            let text = "no proxy has asked about it, so nothing shows that it is protected: configure the proxy (see \
                        examples/proxies), name its IP address with --trusted-proxy, and open the app";
            wrong.push((Verdict::Warning, text.to_owned()));
            String::new()
        }
    };
    let name = format!("{name}, {id}, at {url}");
    let finding = Finding::of("app", wrong, || asked);
    Finding { text: format!("{name}: {}", finding.text), ..finding }
}
