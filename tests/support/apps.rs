//! Apps behind a proxy, which the tests stand in for: what it asks, what it passes on, and what a browser does with the
//! answers.

use super::{
    Server, Settings,
    person::{PUBLIC_URL, Page, Person, pages},
    probes::Probes,
};
use std::cell::RefCell;

pub const NOTES: &str = "https://notes.example.test";
pub const MUSIC: &str = "https://music.example.org";

/// What a browser says of a person who opens a page.
pub const NAVIGATION: [(&str, &str); 3] =
    [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-site", "none")];

/// Believes the proxy on this machine.
pub fn behind_a_proxy(settings: &mut Settings) {
    settings.http.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")];
}

impl Server {
    /// A server whose proxy is on this machine, with two apps on unrelated names that everyone may enter.
    pub fn with_apps() -> Self {
        let server = Self::with(|settings| {
            pages(settings);
            behind_a_proxy(settings);
        });
        server.add_app("Notes", NOTES, "everyone");
        server.add_app("Music", MUSIC, "everyone");
        server
    }
}

/// A browser with the cookies that it keeps for each app's host, beside those for the public URL.
pub struct Visitor<'s> {
    pub person: Person,
    server: &'s Server,
    jars: RefCell<Vec<(String, Person)>>,
}

impl<'s> Visitor<'s> {
    pub fn new(server: &'s Server) -> Self {
        Self { person: server.person(), server, jars: RefCell::default() }
    }

    pub fn signed_in(server: &'s Server, name: &str) -> Self {
        Self { person: server.signed_in_person(name), server, jars: RefCell::default() }
    }

    /// The browser at an app's host.
    pub fn at(&self, app: &str) -> Person {
        let mut jars = self.jars.borrow_mut();
        if let Some((_, person)) = jars.iter().find(|(host, _)| host == app) {
            return person.clone();
        }
        let mut person = self.server.person();
        "usher.internal".clone_into(&mut person.host);
        jars.push((app.to_owned(), person));
        jars.last().expect("it was pushed").1.clone()
    }

    /// Asks as the app's proxy does before it passes a request on.
    pub fn verify(&self, app: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Page {
        let (scheme, host) = app.split_once("://").expect("an origin");
        let mut all = vec![
            ("x-forwarded-proto", scheme),
            ("x-forwarded-host", host),
            ("x-forwarded-method", method),
            ("x-forwarded-uri", path),
        ];
        all.extend(headers);
        self.at(app).send("GET", "/api/v1/auth/verify", &all, None)
    }

    /// Opens a path of ours on the app's host, which its proxy passes on.
    pub fn open_at(&self, app: &str, path: &str) -> Page {
        let (scheme, host) = app.split_once("://").expect("an origin");
        self.at(app).send("GET", path, &[("x-forwarded-proto", scheme), ("x-forwarded-host", host)], None)
    }

    /// Follows a redirect: to the public URL, or to a path of ours on an app's host. `None` where the app itself is reached.
    pub fn follow(&self, location: &str) -> Option<Page> {
        if let Some(path) = location.strip_prefix(PUBLIC_URL).or(Some(location).filter(|it| it.starts_with('/'))) {
            return Some(self.person.open(path));
        }
        let app = [NOTES, MUSIC].into_iter().find(|app| location.starts_with(app)).expect("a registered app");
        let path = &location[app.len()..];
        path.starts_with("/_usher/").then(|| self.open_at(app, path))
    }

    /// Goes to an app as a person does, and follows where that leads: to a page, or to a path of the app.
    pub fn go(&self, app: &str, path: &str) -> Result<String, Box<Page>> {
        let answer = self.verify(app, "GET", path, &NAVIGATION);
        if answer.status == 200 {
            return Ok(path.to_owned());
        }
        assert_eq!(answer.status, 302, "{answer:?}");
        self.go_on(app, answer.header("location").to_owned())
    }

    /// Follows redirects to their end. What is reached in the app is asked about again.
    pub fn go_on(&self, app: &str, mut location: String) -> Result<String, Box<Page>> {
        for _ in 0..20 {
            match self.follow(&location) {
                None => {
                    let path = location[app.len()..].to_owned();
                    let answer = self.verify(app, "GET", &path, &NAVIGATION);
                    match answer.status {
                        200 => return Ok(path),
                        302 => answer.header("location").clone_into(&mut location),
                        _ => return Err(answer.into()),
                    }
                }
                Some(page) if page.status == 303 => page.header("location").clone_into(&mut location),
                Some(page) => return Err(page.into()),
            }
        }
        panic!("it goes round in circles: {location}");
    }
}
