//! Pages for people: one file a page, its template beside it. A page decides nothing: it calls the use cases that the API calls.

mod account;
mod account_form;
mod admin;
mod assets;
mod browser_name;
mod chart;
mod confirm;
mod deletion;
mod done;
mod entry;
mod failure;
mod form;
mod handed_over;
mod home;
mod link;
mod list;
mod profile_form;
mod register;
mod reset;
mod session_rows;
mod setup;
mod sign_in;
mod sign_out;
mod view;

pub use failure::failure;
pub use link::{Linked, link_of};

use poem::{EndpointExt, IntoEndpoint, endpoint::BoxEndpoint, http::Method};

type Handlers = Vec<(Method, BoxEndpoint<'static>)>;

/// Every page.
pub fn routes() -> Vec<(&'static str, Handlers)> {
    let mut routes = vec![
        ("/", vec![get(home::show)]),
        ("/sign-in", vec![get(sign_in::show), post(sign_in::sign_in)]),
        ("/sign-out", vec![get(sign_out::show), post(sign_out::sign_out)]),
        ("/confirm", vec![get(confirm::show), post(confirm::confirm)]),
        ("/register", vec![get(register::show), post(register::register)]),
        ("/invited", vec![get(register::show_invited), post(register::register_invited)]),
        ("/reset", vec![get(reset::show), post(reset::set_password)]),
        ("/setup", vec![get(setup::show), post(setup::create_admin)]),
        ("/enter", vec![get(entry::enter)]),
        ("/continue", vec![get(entry::lead_on)]),
        ("/_usher/start", vec![get(entry::start)]),
        ("/_usher/callback", vec![get(entry::callback)]),
        ("/_usher/sign-out", vec![get(entry::sign_out)]),
        ("/_usher/test", vec![get(entry::test)]),
        (assets::style(), vec![get(assets::show_style)]),
        (assets::icon(), vec![get(assets::show_icon)]),
    ];
    routes.extend(account::routes());
    routes.extend(admin::routes());
    routes
}

fn get<E: IntoEndpoint<Endpoint: 'static>>(handler: E) -> (Method, BoxEndpoint<'static>) {
    (Method::GET, page(handler))
}

fn post<E: IntoEndpoint<Endpoint: 'static>>(handler: E) -> (Method, BoxEndpoint<'static>) {
    (Method::POST, page(handler))
}

fn page<E: IntoEndpoint<Endpoint: 'static>>(handler: E) -> BoxEndpoint<'static> {
    handler.map_to_response().boxed()
}
