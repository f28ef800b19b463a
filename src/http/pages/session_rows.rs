//! Lists of sessions, for their owner and for administrators.

use super::browser_name::browser_name;
use crate::{
    app::{ListedSession, SessionScope},
    domain::{SessionId, SessionKind},
    http::wire::form::Form,
};

/// A session with a program or in a browser.
pub struct Row {
    /// What it is called.
    pub client: String,
    /// What the client says of itself, where that is not in the name.
    pub user_agent: Option<String>,
    pub session: ListedSession,
    /// Those with apps that depend on it.
    pub with_apps: Vec<ListedSession>,
}

impl Row {
    fn of(session: ListedSession) -> Self {
        let name = session.user_agent.as_deref().and_then(browser_name);
        let (client, is_named) = match (session.kind, name) {
            (SessionKind::Api, _) => ("Program".to_owned(), false),
            (_, Some(name)) => (name, true),
            (_, None) => ("Unknown browser".to_owned(), false),
        };
        let user_agent = session.user_agent.clone().filter(|_| !is_named);
        Self { client, user_agent, session, with_apps: vec![] }
    }

    /// Where somebody signed in.
    pub fn place(&self) -> String {
        self.session.ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string())
    }

    /// What tells its button from the others for those who don't see the page.
    pub fn in_words(&self) -> String {
        format!("{}, IP address {}", self.client, self.place())
    }
}

/// This session first, then the newest, each with those that depend on it.
pub fn of(listed: Vec<ListedSession>) -> Vec<Row> {
    let mut rows: Vec<Row> = vec![];
    // Sessions with apps come behind the browser's that they depend on.
    for session in listed {
        match rows.last_mut().filter(|_| session.with_app.is_some()) {
            Some(browser) => browser.with_apps.push(session),
            None => rows.push(Row::of(session)),
        }
    }
    rows.sort_by_key(|row| !row.session.current);
    rows
}

/// Those that a form is to end.
pub fn meant(sent: &Form) -> SessionScope {
    match sent.text("which") {
        "all" => SessionScope::All,
        "others" => SessionScope::Others,
        _ => SessionScope::One(SessionId::from_stored(sent.text("session").to_owned())),
    }
}
