//! What a client's sign-up form needs to know before anybody is signed in.

use crate::{
    app::App,
    domain::{Origin, Password, Registration},
    http::{
        auth::AnyCaller,
        wire::{
            body::Json,
            error::{ApiError, ErrorCode},
            schema::{Example, Nullable, answer},
        },
    },
};
use poem_openapi::{ApiResponse, OpenApi};
use serde_json::{Value, json};
use std::sync::Arc;

pub struct Service {
    pub app: Arc<App>,
}

/// The codes that each operation here can answer with, in addition to those that every operation has.
pub const FAILURES: &[(&str, &[ErrorCode])] = &[("getService", &[])];

answer! {
    /// The settings of the server that clients need.
    ServiceAnswer as "Service" {
        /// The name of the installation
        name: String,
        /// Who may register: everybody, people with an invitation, or nobody (administrators create the accounts)
        registration: Registration,
        /// In characters
        password_min_length: u64,
        /// In characters
        password_max_length: u64,
        /// Where browsers reach the pages; null if there are none
        public_url: Nullable<Origin>,
    }
}

impl Example for ServiceAnswer {
    fn example() -> Value {
        json!({
            "name": "usher", "registration": "open", "password_min_length": 8, "password_max_length": 256,
            "public_url": "https://auth.example.com"
        })
    }
}

#[derive(ApiResponse)]
pub enum Found {
    /// The settings
    #[oai(status = 200)]
    Service(Json<ServiceAnswer>),
}

#[OpenApi]
impl Service {
    /// Read what a client needs to know about the server
    ///
    /// For sign-up forms. No session token is needed.
    #[oai(path = "/service", method = "get", operation_id = "getService")]
    #[allow(clippy::unused_async, reason = "a handler must be asynchronous; this is known since the start")]
    async fn get(&self, _caller: AnyCaller) -> Result<Found, ApiError> {
        let policy = self.app.policy();
        Ok(Found::Service(Json(ServiceAnswer {
            name: policy.instance_name.clone(),
            registration: policy.registration,
            password_min_length: policy.passwords.min_length as u64,
            password_max_length: Password::MAX_LENGTH as u64,
            public_url: Nullable(policy.public_url.clone()),
        })))
    }
}
