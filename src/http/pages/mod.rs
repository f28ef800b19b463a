//! Pages for people: one file a page, its template beside it. A page decides nothing: it calls the use cases that the API calls.

mod account_form;
mod assets;
mod entry;
mod failure;
mod form;
mod home;
mod link;
mod protect;
mod register;
mod reset;
mod setup;
mod sign_in;
mod sign_out;
mod snippet;
mod view;

pub use failure::failure;
pub use link::{Linked, link_of};

use poem::{EndpointExt, IntoEndpoint, endpoint::BoxEndpoint, http::Method};

type Handlers = Vec<(Method, BoxEndpoint<'static>)>;

/// Every page.
pub fn routes() -> Vec<(&'static str, Handlers)> {
    let get = |endpoint| (Method::GET, endpoint);
    let post = |endpoint| (Method::POST, endpoint);
    vec![
        ("/", vec![get(page(home::show))]),
        ("/sign-in", vec![get(page(sign_in::show)), post(page(sign_in::sign_in))]),
        ("/sign-out", vec![get(page(sign_out::show)), post(page(sign_out::sign_out))]),
        ("/register", vec![get(page(register::show)), post(page(register::register))]),
        ("/invited", vec![get(page(register::show_invited)), post(page(register::register_invited))]),
        ("/reset", vec![get(page(reset::show)), post(page(reset::set_password))]),
        ("/setup", vec![get(page(setup::show)), post(page(setup::create_admin))]),
        (protect::PATH, vec![get(page(protect::show)), post(page(protect::protect))]),
        ("/admin/apps/{app_id}", vec![get(page(protect::show_app))]),
        ("/enter", vec![get(page(entry::enter))]),
        ("/continue", vec![get(page(entry::lead_on))]),
        ("/_usher/start", vec![get(page(entry::start))]),
        ("/_usher/callback", vec![get(page(entry::callback))]),
        ("/_usher/sign-out", vec![get(page(entry::sign_out))]),
        ("/_usher/test", vec![get(page(entry::test))]),
        (assets::style(), vec![get(page(assets::show_style))]),
        (assets::icon(), vec![get(page(assets::show_icon))]),
    ]
}

fn page<E: IntoEndpoint<Endpoint: 'static>>(handler: E) -> BoxEndpoint<'static> {
    handler.map_to_response().boxed()
}
