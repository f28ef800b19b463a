//! Notes that only their author can read: an app that lets usher say who is calling.
//!
//! ```text
//! notes serve --usher URL --listen HOST:PORT    POST /notes {"text": "..."} and GET /notes, kept in memory
//! notes demo --usher URL --notes URL            two people use it; fails if something is wrong
//! ```
//!
//! The app knows no passwords and no sessions. It passes the `Authorization` header of each request on to usher, which
//! answers whose it is, or `401`. A handler that takes a `Caller` can't be reached by anybody else.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use poem::{
    EndpointExt, FromRequest, Request, RequestBody, Response, Route, Server, get, handler,
    http::{HeaderValue, StatusCode, header},
    listener::{Acceptor, Listener, TcpListener},
    middleware::SizeLimit,
    web::{Data, Json},
};
use rand::{TryRng, rngs::SysRng};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

/// Notes that only their author can read, behind usher
#[derive(Parser)]
enum Command {
    /// Serve the app
    Serve {
        /// Where usher is, such as `http://127.0.0.1:8080`
        #[arg(long, value_name = "URL")]
        usher: String,
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
        listen: String,
    },
    /// Let two people use it
    Demo {
        #[arg(long, value_name = "URL")]
        usher: String,
        /// Where the app is
        #[arg(long, value_name = "URL")]
        notes: String,
    },
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Serve { usher, listen } => serve(usher, listen),
        Command::Demo { usher, notes } => demo(&usher, &notes),
    }
}

// ---- HTTP, for both the app and the demo

static CLIENT: LazyLock<ureq::Agent> = LazyLock::new(|| {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0) // a token goes to the address it is meant for, and to no other that an answer names
        .timeout_global(Some(Duration::from_secs(10)));
    config.build().into()
});

struct Answer {
    status: StatusCode,
    challenge: Option<HeaderValue>,
    body: Vec<u8>,
}

/// Sends a request, and returns the answer whatever its status.
fn send(method: &str, url: &str, authorization: Option<&HeaderValue>, body: Option<Value>) -> Result<Answer> {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let answer = match body {
        Some(body) => {
            let request = request.header(header::CONTENT_TYPE, "application/json");
            CLIENT.run(request.body(body.to_string())?)
        }
        None => CLIENT.run(request.body(())?),
    };
    let mut answer = answer.with_context(|| format!("{method} {url}"))?;
    Ok(Answer {
        status: answer.status(),
        challenge: answer.headers().get(header::WWW_AUTHENTICATE).cloned(),
        body: answer.body_mut().read_to_vec()?,
    })
}

// ---- The app

/// The caller, as usher identifies them. usher's answer also has the username and the e-mail address. Only the id
/// identifies the account for ever: the others can be changed, and then taken by somebody else.
#[derive(Deserialize)]
struct Caller {
    id: i64,
}

/// The base of usher's URL.
#[derive(Clone)]
struct Usher(Arc<str>);

impl Usher {
    fn ask(&self, authorization: Option<&HeaderValue>) -> Result<Result<Caller, Answer>> {
        let answer = send("GET", &format!("{}/api/v1/auth/me", self.0), authorization, None)?;
        match answer.status {
            StatusCode::OK => Ok(Ok(serde_json::from_slice(&answer.body)?)),
            StatusCode::UNAUTHORIZED => Ok(Err(answer)),
            status => anyhow::bail!("it answered {status}"),
        }
    }
}

impl<'a> FromRequest<'a> for Caller {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let Data(usher) = Data::<&Usher>::from_request_without_body(request).await?;
        let (usher, authorization) = (usher.clone(), request.headers().get(header::AUTHORIZATION).cloned());
        // The client blocks, which must not delay other requests.
        let asked = tokio::task::spawn_blocking(move || usher.ask(authorization.as_ref())).await;
        match asked.map_err(anyhow::Error::from).flatten() {
            Ok(Ok(caller)) => Ok(caller),
            Ok(Err(refusal)) => Err(poem::Error::from_response(passed_on(refusal))),
            Err(error) => {
                eprintln!("usher gave no useful answer: {error:#}");
                // Without usher, callers can't be identified, so nobody is let in.
                let message = "who is calling can't be found out now; try again later";
                Err(poem::Error::from_string(message, StatusCode::SERVICE_UNAVAILABLE))
            }
        }
    }
}

fn passed_on(refusal: Answer) -> Response {
    let response = Response::builder().status(refusal.status).content_type("application/json");
    let mut response = response.body(refusal.body);
    if let Some(challenge) = refusal.challenge {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// Everybody's notes, by the id of the account.
type Notes = Arc<Mutex<HashMap<i64, Vec<String>>>>;

#[derive(Serialize, Deserialize)]
struct Note {
    text: String,
}

#[handler]
fn list_notes(caller: Caller, Data(notes): Data<&Notes>) -> Json<Value> {
    let notes = notes.lock().expect("nothing panics while it is held");
    Json(json!({"notes": notes.get(&caller.id).map_or(&[][..], Vec::as_slice)}))
}

#[handler]
fn add_note(caller: Caller, Data(notes): Data<&Notes>, Json(note): Json<Note>) -> (StatusCode, Json<Note>) {
    let mut notes = notes.lock().expect("nothing panics while it is held");
    notes.entry(caller.id).or_default().push(note.text.clone());
    (StatusCode::CREATED, Json(note))
}

#[tokio::main]
async fn serve(usher: String, listen: String) -> Result<()> {
    let usher = Usher(usher.trim_end_matches('/').into());
    let app = Route::new()
        .at("/notes", get(list_notes).post(add_note.with(SizeLimit::new(64 * 1024))))
        .data(usher)
        .data(Notes::default());
    let listener = TcpListener::bind(&listen).into_acceptor().await.context(listen)?;
    for address in listener.local_addr() {
        let address = address.as_socket_addr().context("not a TCP port")?;
        eprintln!("listening on http://{address}");
    }
    Ok(Server::new_with_acceptor(listener).run(app).await?)
}

// ---- The demo

/// A person with an account at usher, who is signed in and takes notes.
struct Person {
    usher: String,
    notes: String,
    name: String,
    password: String,
    id: i64,
    authorization: Option<HeaderValue>,
}

impl Person {
    fn register(usher: &str, notes: &str, name: &str) -> Result<Self> {
        let (usher, notes) = (format!("{usher}/api/v1"), format!("{notes}/notes"));
        let mut person = Self { usher, notes, name: name.to_owned(), password: random()?, id: 0, authorization: None };
        let account = json!({"username": name, "email": person.email(), "password": person.password});
        let created = person.ask_usher("registers", "POST", "/users", Some(account), StatusCode::CREATED)?;
        person.id = created["id"].as_i64().context("an account has an id")?;
        person.sign_in()?;
        Ok(person)
    }

    fn email(&self) -> String {
        format!("{}@example.com", self.name)
    }

    fn sign_in(&mut self) -> Result<()> {
        self.authorization = None;
        let credentials = json!({"email": self.email(), "password": self.password});
        let session = self.ask_usher("signs in", "POST", "/auth/login", Some(credentials), StatusCode::OK)?;
        let token = session["token"].as_str().context("a session has a token")?;
        self.authorization = Some(format!("Bearer {token}").try_into()?);
        Ok(())
    }

    fn sign_out(&self) -> Result<Value> {
        self.ask_usher("signs out", "POST", "/auth/logout", None, StatusCode::OK)
    }

    fn delete_account(&self) -> Result<Value> {
        let account = format!("/users/{}", self.id);
        self.ask_usher("deletes the account", "DELETE", &account, None, StatusCode::NO_CONTENT)
    }

    fn ask_usher(
        &self,
        deed: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
        expected: StatusCode,
    ) -> Result<Value> {
        let answer = send(method, &format!("{}{path}", self.usher), self.authorization.as_ref(), body)?;
        check(&format!("{} {deed}", self.name), answer.status, expected)?;
        Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn write(&self, text: &str) -> Result<()> {
        let answer = send("POST", &self.notes, self.authorization.as_ref(), Some(json!({"text": text})))?;
        check(&format!("{} writes: {text}", self.name), answer.status, StatusCode::CREATED)
    }

    fn sees(&self, expected: &[&str]) -> Result<()> {
        let answer = send("GET", &self.notes, self.authorization.as_ref(), None)?;
        let seen = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
        check(&format!("{} sees {expected:?}", self.name), seen, json!({"notes": expected}))
    }

    fn is_refused(&self) -> Result<()> {
        let answer = send("GET", &self.notes, self.authorization.as_ref(), None)?;
        check(&format!("{}'s token is refused", self.name), answer.status, StatusCode::UNAUTHORIZED)
    }
}

fn check<T: PartialEq + std::fmt::Debug>(fact: &str, actual: T, expected: T) -> Result<()> {
    ensure!(actual == expected, "not so: {fact}: expected {expected:?}, got {actual:?}");
    println!("{fact}");
    Ok(())
}

/// 64 random bits in hexadecimal.
fn random() -> Result<String> {
    Ok(format!("{:016x}", SysRng.try_next_u64()?))
}

fn demo(usher: &str, notes: &str) -> Result<()> {
    let (usher, notes) = (usher.trim_end_matches('/'), notes.trim_end_matches('/'));
    let answer = send("GET", &format!("{notes}/notes"), None, None)?;
    let challenge = (answer.status, answer.challenge);
    let expected = (StatusCode::UNAUTHORIZED, Some(HeaderValue::from_static("Bearer")));
    check("without a token nobody is let in", challenge, expected)?;

    let name = format!("ada-{}", random()?);
    let mut ada = Person::register(usher, notes, &name)?;
    let ben = Person::register(usher, notes, &format!("ben-{}", random()?))?;
    ada.write("buy figs")?;
    ben.write("call home")?;
    ada.sees(&["buy figs"])?;
    ben.sees(&["call home"])?;

    ada.sign_out()?;
    ada.is_refused()?;
    ada.sign_in()?;
    ada.sees(&["buy figs"])?;

    ada.delete_account()?;
    ada.is_refused()?;
    let heir = Person::register(usher, notes, &name)?; // the name is free again, its notes are not
    heir.sees(&[])?;

    heir.delete_account()?;
    ben.delete_account()?;
    Ok(())
}
