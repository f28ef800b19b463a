//! The accounts: a list of all, and a form for another.

use super::{SECTIONS, invitations};
use crate::{
    domain::{Faults, PageSize, Role, SearchPrefix, User, UserCursor, UserFilter, UserId, UserSort},
    http::{
        auth::{Administrator, Member},
        pages::{
            account_form::{self, Typed},
            confirm::needs_recent_sign_in,
            done::Done,
            form::{Choice, Field, FormView, Refusal, mark, status},
            list::{Ways, filter, place},
            view::{Layout, Way, html, page},
        },
        wire::{error::ApiError, form::Form},
    },
};
use poem::{Request, Response, Result, handler};

pub const PATH: &str = "/admin/users";
pub const NEW: &str = "/admin/users/new";
pub const IMPORT: &str = "/admin/users/import";

/// The page of an account.
pub fn path_of(user: UserId) -> String {
    format!("{PATH}/{user}")
}

page! {
    UsersPage from "users.html" {
        q: Field<'p>,
        role: Choice,
        disabled: Choice,
        sort: Choice,
        users: Vec<User>,
        total: u64,
        ways: Ways,
        refusal: Option<&'p str>,
    }
}

/// What narrows the list, and its order, as they were asked for.
struct Asked {
    q: String,
    role: String,
    disabled: String,
    sort: String,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let given = |name| filter(request, name).unwrap_or_default();
        Self { q: given("q"), role: given("role"), disabled: given("disabled"), sort: given("sort") }
    }

    /// What they mean. What means nothing narrows nothing, and is told at its field.
    fn read(&self) -> (UserFilter, UserSort, Faults) {
        let mut faults = Faults::default();
        let given = |text: &'_ str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let prefix = given(&self.q).and_then(|text| faults.collect("q", SearchPrefix::parse(&text)));
        let role = given(&self.role).and_then(|text| faults.collect("role", Role::parse(&text)));
        let disabled = given(&self.disabled).and_then(|text| {
            let known = text.parse().map_err(|_| "must be one of these".into());
            faults.collect("disabled", known)
        });
        let sort = given(&self.sort).and_then(|text| faults.collect("sort", UserSort::parse(&text)));
        (UserFilter { prefix, role, disabled, except: vec![] }, sort.unwrap_or_default(), faults)
    }

    fn pairs(&self) -> [(&'static str, &str); 4] {
        [("q", &self.q), ("role", &self.role), ("disabled", &self.disabled), ("sort", &self.sort)]
    }
}

#[handler]
pub async fn list(admin: Administrator, request: &Request) -> Result<Response> {
    let asked = Asked::of(request);
    let (narrowed, sort, faults) = asked.read();
    let after = place(request, |place| UserCursor::parse(place).filter(|cursor| cursor.sort == sort))?;
    let begins = after.is_none();
    let listed = admin.context.app.accounts.list(&admin.caller, narrowed, sort, after, PageSize::default(), true);
    let listed = listed.await.map_err(ApiError::from)?;
    let mut fields = [Field::new("q", "Username or e-mail", "search", "off", &asked.q)
        .optional()
        .with_help("How one of them begins.")];
    let refusal = (!faults.is_empty()).then(|| Refusal::of_faults(faults));
    if refusal.is_some() {
        mark(&mut fields, refusal.as_ref());
    }
    let [q] = fields;
    let choose = |name, label, options: &[(&str, &str)], chosen: &str| {
        let options = options.iter().map(|(value, label)| ((*value).to_owned(), (*label).to_owned()));
        Choice::new(name, label, options, chosen).marked(refusal.as_ref())
    };
    let page = UsersPage {
        layout: Layout::of(&admin).within(&SECTIONS, PATH),
        q,
        role: choose("role", "Role", &[("", "Any"), ("user", "User"), ("admin", "Administrator")], &asked.role),
        disabled: choose(
            "disabled",
            "State",
            &[("", "Any"), ("false", "Enabled"), ("true", "Disabled")],
            &asked.disabled,
        ),
        sort: choose("sort", "Order", ORDERS, sort.as_str()),
        ways: Ways::new(PATH, &asked.pairs(), begins, listed.page.next.as_ref()),
        total: listed.total.unwrap_or_default(),
        users: listed.page.items,
        refusal: refusal.as_ref().map(|refusal| refusal.text.as_str()),
    };
    Ok(html(status(refusal.as_ref()), &page)?)
}

const ORDERS: &[(&str, &str)] = &[
    ("id", "Oldest first"),
    ("-id", "Newest first"),
    ("username", "Username, A to Z"),
    ("-username", "Username, Z to A"),
    ("-last_login_at", "Last sign-in, latest first"),
    ("last_login_at", "Last sign-in, earliest first"),
];

/// The form of a new account. It has a password, which nobody should type in vain.
#[handler]
pub fn show_new(admin: Administrator) -> Result<Response> {
    needs_recent_sign_in(&admin)?;
    Ok(form(&admin, &Typed::default(), None)?)
}

/// Creates the account, and leads to its page; or shows the form again.
#[handler]
pub async fn create(admin: Administrator, sent: Form) -> Result<Response> {
    let app = &admin.context.app;
    let created = match account_form::read(app, &sent, None) {
        Ok(account) => app.accounts.register(&admin.caller, account).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(user) => Ok(Done::UserCreated.at(&path_of(user.id))),
        Err(error) => Ok(form(&admin, &Typed::of(&sent), Some(&Refusal::of(error)?))?),
    }
}

fn form(admin: &Member, typed: &Typed<'_>, refusal: Option<&Refusal>) -> Result<Response, ApiError> {
    let view = FormView {
        title: "New account".to_owned(),
        action: NEW.into(),
        fields: account_form::fields(typed, None, &admin.context.app.policy().passwords),
        button: "Create account",
        otherwise: Some(Way {
            before: "An invitation is usually better: people choose their own username and password.",
            to: invitations::PATH.into(),
            label: "Invite somebody",
        }),
        ..FormView::default()
    };
    view.show_in(Layout::of(admin).within(&SECTIONS, PATH), admin, refusal)
}
