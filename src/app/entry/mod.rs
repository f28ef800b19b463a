//! Entering apps behind a proxy with the session of a browser.
//!
//! Each app's host has a cookie of its own, which a browser gets for a code that works once: an app that reads its own
//! cookie can enter no other app with it. A code is bound to the browser that asked for the app (by a nonce in a cookie of the
//! app's host), to the app, and to the session of the browser.

pub(super) mod asked;

use super::{access::Operation, core::Core, sessions};
use crate::{
    domain::{
        Action, Actor, AppPath, AppSessionToken, AppTokenSecret, Caller, Door, EnteredApp, EntryCode, EntryCodeState,
        Error, Flow, NewEntryCode, NonceHash, Origin, ShownAppToken, SignedIn, TokenHash, User,
    },
    store::Writer,
};
use std::{net::IpAddr, sync::Arc};

/// The doors of apps.
pub struct Entry {
    pub(super) core: Arc<Core>,
}

/// What a request that a proxy asks about shows of ours.
#[derive(Debug)]
pub enum Shown<'c> {
    /// A session token, in the request's `Authorization` header.
    Session(&'c Arc<SignedIn>),
    /// An app token, in the same place.
    AppToken(&'c AppTokenSecret),
    /// The cookie of the app's host.
    Cookie(Option<&'c AppSessionToken>),
}

/// What becomes of somebody at the sign-in page who was going to an app.
#[derive(Debug)]
pub enum Admission {
    /// They may enter, with this code, at this app.
    Code { origin: Origin, code: EntryCode },
    /// They may not enter the app of this name.
    Refused { app: String },
    /// Too much time has passed: they go to the app again, to this place.
    Stale { origin: Origin, path: AppPath },
    /// Nobody signed that, or the app is gone.
    Unknown,
}

/// What becomes of a code that is shown at the host of an app.
#[derive(Debug)]
pub enum Redeemed {
    Entered {
        token: AppSessionToken,
        path: AppPath,
    },
    /// It was used before by the same browser, or it came too late: they go to the app again.
    Again {
        path: AppPath,
    },
    /// It belongs to another browser or to another app, or nobody gave it out.
    Refused,
}

impl Entry {
    /// The app at an origin. One whose host is the public URL's is none: it would get that one's cookies.
    pub async fn door(&self, origin: &Origin) -> Result<Option<Door>, Error> {
        let host = origin.host().to_owned();
        if self.core.policy.is_public_host(&host) {
            return Ok(None);
        }
        let found = self.core.look_up(move |reader| reader.door(&host, None)).await?;
        Ok(found.filter(|door| door.origin == *origin))
    }

    /// The apps that somebody who is signed in may enter, by name.
    pub async fn open_doors(&self, caller: &Caller) -> Result<Vec<Door>, Error> {
        let user = caller.signed_in().ok_or(Error::AuthenticationRequired)?.user.clone();
        let mut doors = self.core.scan(caller, Operation::EnterApp, move |reader| reader.open_doors(&user)).await?;
        doors.retain(|door| !self.core.policy.is_public_host(door.origin.host()));
        Ok(doors)
    }

    /// Whether a proxy that asks about an origin asks about an app. It is noted, so that those who set it up see it.
    pub async fn is_asked(&self, origin: &Origin, proxy: IpAddr) -> Result<bool, Error> {
        let door = self.door(origin).await?;
        if let Some(door) = &door {
            self.record_asked(door, proxy);
        }
        Ok(door.is_some())
    }

    fn record_asked(&self, door: &Door, proxy: IpAddr) {
        let now = self.core.clock.now();
        if door.is_worth_recording(now) {
            self.core.asked.gather(door, now, proxy);
        }
    }

    /// Who may enter the app at an origin, by what was shown to a proxy. `Error::Forbidden` is for those who are known and may
    /// not.
    pub async fn verify(&self, origin: &Origin, shown: Shown<'_>, proxy: IpAddr) -> Result<Actor, Error> {
        let (actor, door) = match shown {
            Shown::Session(signed_in) => {
                (Actor::SignedIn(signed_in.clone()), self.door_for(origin, &signed_in.user).await?)
            }
            Shown::AppToken(secret) => self.by_app_token(origin, secret).await?,
            Shown::Cookie(None) => return Err(Error::AuthenticationRequired),
            Shown::Cookie(Some(token)) => {
                let EnteredApp { signed_in, with_app, door } = self.entered(token, origin).await?;
                sessions::use_with_app(&self.core, &signed_in.session, &with_app)?;
                (Actor::SignedIn(Arc::new(signed_in)), door)
            }
        };
        self.record_asked(&door, proxy);
        if door.may_enter && !self.core.policy.is_public_host(origin.host()) {
            Ok(actor)
        } else {
            Err(Error::Forbidden)
        }
    }

    /// The owner of an app token of the app at an origin, and the app's door. The use is noted.
    async fn by_app_token(&self, origin: &Origin, secret: &AppTokenSecret) -> Result<(Actor, Door), Error> {
        let (hash, now) = (secret.hash(), self.core.clock.now());
        let shown = self.core.look_up(move |reader| reader.shown_app_token(&hash)).await?;
        let is_good = |shown: &ShownAppToken| shown.door.origin == *origin && shown.is_alive(now);
        let shown = shown.filter(is_good).ok_or(Error::InvalidToken)?;
        if shown.is_worth_recording(now) {
            self.core.app_token_uses.gather(&shown.id, now);
        }
        Ok((Actor::AppToken(Arc::new(shown.owner)), shown.door))
    }

    async fn door_for(&self, origin: &Origin, user: &User) -> Result<Door, Error> {
        let (host, user) = (origin.host().to_owned(), user.clone());
        let found = self.core.look_up(move |reader| reader.door(&host, Some(&user))).await?;
        found.filter(|door| door.origin == *origin).ok_or(Error::Forbidden)
    }

    async fn entered(&self, token: &AppSessionToken, origin: &Origin) -> Result<EnteredApp, Error> {
        let (hash, origin) = (token.hash(), origin.clone());
        self.core.look_up(move |reader| reader.entered_by_token(&hash, &origin)).await?.ok_or(Error::InvalidToken)
    }

    /// What travels with a browser that is going to an app until it is signed in. Writes nothing, for anybody may ask.
    pub async fn begin(&self, door: &Door, path: AppPath, nonce: &str) -> Result<String, Error> {
        let key = self.core.look_up(|reader| reader.flow_key()).await?;
        let (app, begun_at) = (door.app, self.core.clock.now());
        Ok(Flow { app, path, begun_at, nonce: NonceHash::of(nonce) }.sign(&key))
    }

    /// Gives somebody who is signed in a code for the app that they were going to, if they may enter it.
    pub async fn admit(&self, caller: &Caller, flow: &str) -> Result<Admission, Error> {
        let Some((flow, door)) = self.read_flow(caller, flow).await? else { return Ok(Admission::Unknown) };
        let origin = door.origin.clone();
        if self.core.clock.now().since(flow.begun_at) > Flow::LIFETIME {
            return Ok(Admission::Stale { origin, path: flow.path });
        }
        let code = EntryCode::generate();
        let new = NewEntryCode {
            hash: code.hash(),
            app: flow.app,
            nonce: flow.nonce,
            path: flow.path,
            expires_at: self.core.clock.now() + NewEntryCode::LIFETIME,
        };
        let owner = caller.signed_in().ok_or(Error::AuthenticationRequired)?.user.id;
        let charged = self.core.throttle.reserve_entry(owner);
        self.core.record_refusal(caller, Some(owner), charged)?;
        let given = self.core.change(caller, Operation::EnterApp, move |writer, acting| {
            let signed_in = acting.signed_in().ok_or(Error::AuthenticationRequired)?;
            let door = writer.door_of(new.app, Some(&signed_in.user))?.filter(|door| door.may_enter);
            if door.is_none() {
                writer.record(Action::AccessDenied, None);
                return Ok(false);
            }
            writer.insert_entry_code(&signed_in.session.id, &new)?;
            Ok(true)
        });
        Ok(if given.await? { Admission::Code { origin, code } } else { Admission::Refused { app: door.name } })
    }

    /// The app that somebody was going to, for the sign-in page. `None` where nobody signed that, or the app is gone.
    pub async fn destination(&self, caller: &Caller, flow: &str) -> Result<Option<String>, Error> {
        Ok(self.read_flow(caller, flow).await?.map(|(_, door)| door.name))
    }

    async fn read_flow(&self, caller: &Caller, flow: &str) -> Result<Option<(Flow, Door)>, Error> {
        let key = self.core.look_up(|reader| reader.flow_key()).await?;
        let Some(flow) = Flow::open(flow, &key) else { return Ok(None) };
        let (app, user) = (flow.app, caller.signed_in().map(|signed_in| signed_in.user.clone()));
        let door = self.core.look_up(move |reader| reader.door_of(app, user.as_ref())).await?;
        Ok(door.filter(|door| !self.core.policy.is_public_host(door.origin.host())).map(|door| (flow, door)))
    }

    /// Opens a session with the app at an origin for the browser that shows a code and the nonce that the code was given
    /// for. A code that is shown by another browser or at another app is used up.
    pub async fn redeem(
        &self,
        caller: &Caller,
        door: &Door,
        code: &str,
        nonce: &str,
        user_agent: Option<String>,
    ) -> Result<Redeemed, Error> {
        let Some(code) = EntryCode::parse(code).map(|code| code.hash()) else { return Ok(Redeemed::Refused) };
        let found = self.core.look_up(move |reader| match reader.entry_code(&code)? {
            Some(state) => Ok(Some((reader.signed_in_by_session(&state.session)?, state))),
            None => Ok(None),
        });
        let Some((browser, state)) = found.await? else { return Ok(Redeemed::Refused) };
        let owner = browser.map(|browser| browser.user.id);
        let is_meant = state.app == door.app && state.nonce == NonceHash::of(nonce);
        if state.is_spent || !is_meant {
            self.core.journal.record_counted(Action::EntryCodeRefused, caller, owner);
        }
        match (is_meant, state.is_spent) {
            (false, true) => return Ok(Redeemed::Refused),
            (false, false) => {
                self.burn(caller, code).await?;
                return Ok(Redeemed::Refused);
            }
            (true, true) => return Ok(Redeemed::Again { path: state.path }),
            (true, false) => {}
        }
        let (token, path) = (AppSessionToken::generate(), state.path.clone());
        let spending = Spending { code, state, token: token.hash(), user_agent };
        let is_in = self.core.change(caller, Operation::RedeemCode, move |writer, _| spending.run(writer)).await?;
        Ok(if is_in { Redeemed::Entered { token, path } } else { Redeemed::Again { path } })
    }

    /// Uses a code up that was shown where it does not belong.
    async fn burn(&self, caller: &Caller, code: TokenHash) -> Result<(), Error> {
        self.core.change(caller, Operation::RedeemCode, move |writer, _| writer.spend_entry_code(&code).map(drop)).await
    }
}

/// A code that is shown where it belongs, inside a transaction.
struct Spending {
    code: TokenHash,
    state: EntryCodeState,
    token: TokenHash,
    user_agent: Option<String>,
}

impl Spending {
    /// Opens the session, unless the code was used before, or comes too late, or its browser is no longer signed in.
    fn run(&self, writer: &mut Writer<'_>) -> Result<bool, Error> {
        let EntryCodeState { app, session, expires_at, .. } = &self.state;
        let browser = writer.signed_in_by_session(session)?.filter(|_| writer.now() < *expires_at);
        let Some(browser) = browser else { return Ok(false) };
        if !writer.spend_entry_code(&self.code)? {
            return Ok(false);
        }
        writer.insert_app_session(&browser, *app, &self.token, self.user_agent.as_ref())?;
        writer.record_by(Some(browser.user.id), Action::AppEntered, Some(browser.user.id));
        Ok(true)
    }
}
