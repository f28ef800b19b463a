//! What is wrong with the service, and what to do: what `usher check` finds out about a database, as far as a server that is
//! running on it can know.

use super::{access::Operation, core::Core};
pub use crate::store::{Finding, Verdict};
use crate::{
    domain::{App, AppAccess, Caller, Error, LastAsked, Origin, PasswordHash, Registration, Timestamp},
    hashing::recognize,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// The state of the service.
pub struct Health {
    pub(super) core: Arc<Core>,
    /// What was last found, and when.
    pub(super) found: Found,
}

pub(super) type Found = Mutex<Option<(Timestamp, Vec<Finding>)>>;

impl Health {
    const MAX_AGE: Duration = Duration::from_mins(1);

    /// Looks at everything now. Reads every account, and not the audit log.
    pub async fn examine(&self, caller: &Caller) -> Result<Vec<Finding>, Error> {
        let (now, policy) = (self.core.clock.now(), &self.core.policy);
        let look = self.core.scan(caller, Operation::ReadHealth, move |reader| {
            Ok((reader.findings(now, hash_fault), reader.asked_apps()?))
        });
        let (mut findings, apps) = look.await?;
        findings.extend(self.core.surroundings());
        findings.extend(of_pages(policy.public_url.as_ref(), policy.registration == Registration::Open, &apps));
        *self.found.lock().await = Some((now, findings.clone()));
        Ok(findings)
    }

    /// The same from less than a minute ago, if somebody has looked.
    pub async fn recent(&self, caller: &Caller) -> Result<Vec<Finding>, Error> {
        self.core.decide(caller, Operation::ReadHealth)?;
        let now = self.core.clock.now();
        let found = self.found.lock().await.clone();
        match found.filter(|(at, _)| *at <= now && now.since(*at) < Self::MAX_AGE) {
            Some((_, findings)) => Ok(findings),
            None => self.examine(caller).await,
        }
    }
}

/// Why a stored hash matches no password.
pub fn hash_fault(hash: &PasswordHash) -> Option<String> {
    recognize(hash).err().map(|unverifiable| unverifiable.to_string())
}

/// Findings about what people in browsers need: the public URL, and apps whose proxies ask. `is_open`: anybody may register.
pub fn of_pages(public_url: Option<&Origin>, is_open: bool, apps: &[(App, Option<LastAsked>)]) -> Vec<Finding> {
    let apps = apps.iter().map(|(app, asked)| of_app(app, *asked, public_url, is_open));
    std::iter::once(of_public_url(public_url)).chain(apps).collect()
}

fn of_public_url(public_url: Option<&Origin>) -> Finding {
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
fn of_app(app: &App, asked: Option<LastAsked>, public_url: Option<&Origin>, is_open: bool) -> Finding {
    let App { id, name, url, access, .. } = app;
    let mut wrong = Vec::new();
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
