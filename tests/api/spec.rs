//! The spec: complete, and the same wherever it is found.

use crate::support::{Server, probes::Probes, spec};
use serde_json::{Value, json};
use usher::{
    domain::{
        App, AppToken, ChartLength, EmailAddress, Group, InvitationCount, PageSize, Password, SessionLimits, Username,
    },
    http::ErrorCode,
};

fn operations() -> impl Iterator<Item = (String, &'static Value)> {
    let paths = spec()["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
    })
}

#[test]
fn the_committed_the_printed_and_the_served_document_are_one() {
    let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/openapi.json")).unwrap();
    let printed = crate::support::binary::usher(std::path::Path::new("/"), &["openapi"]).stdout;
    let served = Server::start().anon().get("/openapi.json").body;
    assert!(printed == committed.as_bytes(), "it has changed: cargo run -- openapi > openapi/openapi.json");
    assert!(served == committed.as_bytes(), "what is served is not what is committed");
}

#[test]
fn every_operation_is_described() {
    for (name, operation) in operations() {
        for field in ["operationId", "summary", "description"] {
            assert!(!operation[field].as_str().unwrap_or_default().is_empty(), "{name}: {field}");
        }
        assert!(operation["tags"].is_array(), "{name}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{name}: {}", parameter["name"]);
            assert!(parameter["schema"]["description"].is_null(), "{name}: {}", parameter["name"]);
        }
    }
}

/// Every object in the document, with its place.
fn objects(value: &'static Value, place: String) -> Vec<(String, &'static serde_json::Map<String, Value>)> {
    let within = |(key, value): (String, &'static Value)| objects(value, format!("{place}/{key}"));
    match value {
        Value::Object(members) => {
            let inner = members.iter().map(|(key, value)| (key.clone(), value)).flat_map(within);
            [(place.clone(), members)].into_iter().chain(inner.collect::<Vec<_>>()).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(n, item)| (n.to_string(), item)).flat_map(within).collect()
        }
        _ => vec![],
    }
}

#[test]
fn what_is_said_about_a_reference_stands_beside_it() {
    let mut wrapped = 0;
    for (place, object) in objects(spec(), String::new()) {
        for part in object.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            assert_eq!(part.as_object().unwrap().keys().collect::<Vec<_>>(), ["$ref"], "{place}");
            assert!(object["description"].is_string(), "{place}");
            wrapped += 1;
        }
    }
    assert_eq!(wrapped, 10);
}

#[test]
fn every_list_has_a_limit() {
    let lists =
        objects(spec(), String::new()).into_iter().filter(|(_, object)| object.get("type") == Some(&"array".into()));
    let mut limits: Vec<_> = lists.map(|(_, list)| list.get("maxItems").and_then(Value::as_u64)).collect();
    limits.sort_unstable();
    let sessions = SessionLimits::MAX_PER_USER + SessionLimits::MAX_APP_SESSIONS;
    let limit = |limit: u32| Some(limit.into());
    let [groups, app_groups, app_tokens, page, sessions] =
        [Group::MAX_PER_USER, App::MAX_GROUPS, AppToken::MAX_PER_USER, PageSize::MAX, sessions].map(limit);
    let [days, invitations] = [ChartLength::MAX, InvitationCount::MAX].map(limit);
    assert_eq!(
        limits,
        [
            groups,
            app_groups,
            app_groups,
            app_groups,
            app_tokens,
            invitations,
            page,
            page,
            page,
            page,
            page,
            page,
            page,
            days,
            sessions
        ]
    );
}

#[test]
fn every_response_has_a_schema_and_an_example() {
    for (name, operation) in operations() {
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
        for (status, response) in responses {
            assert!(!response["description"].as_str().unwrap().is_empty(), "{name} {status}");
            assert!(response["headers"]["X-Request-Id"].is_object(), "{name} {status}");
            if status == "204" || (name == "get /auth/verify" && ["200", "302"].contains(&status.as_str())) {
                assert!(response["content"].is_null(), "{name} {status}");
                continue;
            }
            let media = &response["content"]["application/json"];
            assert!(media["schema"].is_object(), "{name} {status}");
            assert!(media["example"].is_object() || media["examples"].is_object(), "{name} {status}");
        }
        for status in ["500", "503"] {
            assert!(responses.contains_key(status), "{name} can fail with {status}");
        }
        if let Some(body) = operation.get("requestBody") {
            for (media_type, media) in body["content"].as_object().unwrap() {
                assert_eq!(media["example"].is_object(), media_type == "application/json", "{name}");
                assert!(!media["example"].is_null() && media["schema"].is_object(), "{name}");
            }
        }
    }
}

#[test]
fn every_protected_operation_names_the_security_scheme() {
    let scheme = &spec()["components"]["securitySchemes"]["sessionToken"];
    assert_eq!((&scheme["type"], &scheme["scheme"]), (&"http".into(), &"bearer".into()));
    for (name, operation) in operations() {
        let expected = match name.as_str() {
            "post /auth/login" | "post /auth/password-reset" | "get /service" => json!([]),
            "post /users" => json!([{}, {"sessionToken": []}]),
            _ => json!([{"sessionToken": []}]),
        };
        assert_eq!(operation["security"], expected, "{name}");
        assert!(operation["responses"]["401"]["content"].to_string().contains("invalid_token"), "{name}");
    }
}

#[test]
fn bodies_refuse_other_fields_and_limits_are_those_that_are_parsed_with() {
    let schemas = &spec()["components"]["schemas"];
    for name in [
        "NewUser",
        "UserUpdate",
        "Login",
        "PasswordReset",
        "NewInvitation",
        "NewGroup",
        "GroupUpdate",
        "NewApp",
        "AppUpdate",
        "NewAppToken",
    ] {
        assert_eq!(schemas[name]["additionalProperties"], false, "{name}");
    }
    for name in ["NewUser", "UserUpdate"] {
        let properties = &schemas[name]["properties"];
        assert_eq!(properties["username"]["maxLength"], Username::MAX_LENGTH);
        assert_eq!(properties["username"]["pattern"], Username::PATTERN);
        assert_eq!(properties["email"]["maxLength"], EmailAddress::MAX_LENGTH);
        assert_eq!(properties["email"]["pattern"], EmailAddress::PATTERN);
        assert_eq!(properties["password"]["minLength"], Password::MIN_LENGTH);
        assert_eq!(properties["password"]["maxLength"], Password::MAX_LENGTH);
    }
}

#[test]
fn one_enumeration_lists_every_code() {
    let listed: Vec<&str> = spec()["components"]["schemas"]["ErrorCode"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(Value::as_str)
        .collect();
    let known: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(listed, known);
}

#[test]
fn the_parts_of_an_error_have_names_that_no_language_uses_itself() {
    let schemas = &spec()["components"]["schemas"];
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    assert!(schemas["Error"].is_null());
    assert_eq!(schemas["ErrorResponse"]["properties"]["error"], reference("ErrorBody"));
    assert_eq!(schemas["ErrorBody"]["properties"]["code"], reference("ErrorCode"));
    assert_eq!(schemas["ErrorBody"]["properties"]["details"]["additionalProperties"], reference("ErrorDetail"));
    assert_eq!(schemas["ErrorBody"]["properties"]["details"]["maxProperties"], usher::domain::Faults::MAX_LISTED);
    assert_eq!(schemas["ErrorDetail"]["oneOf"], json!([{"type": "string"}, {"type": "integer"}]));
}

#[test]
fn no_path_and_no_member_comes_twice() {
    // A parser that keeps the last of two would hide it, so the text is counted.
    let text = usher::http::spec();
    for (name, operation) in operations() {
        let id = format!("\"operationId\": {}", operation["operationId"]);
        assert_eq!(text.matches(&id).count(), 1, "{name}");
    }
    for path in spec()["paths"].as_object().unwrap().keys() {
        assert_eq!(text.matches(&format!("\n    \"{path}\": {{")).count(), 1, "{path}");
    }
}

#[test]
fn the_page_shows_the_spec_and_loads_nothing_from_elsewhere() {
    let server = Server::start();
    let answer = server.anon().get("//docs");
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
    let page = String::from_utf8(answer.body).unwrap();
    assert!(page.contains("\"operationId\": \"createUser\"") && page.contains("SwaggerUIBundle("));
    for loads in ["src=\"http", "href=\"http", "@import", "url(http", "url(//"] {
        assert!(!page.contains(loads), "{loads}");
    }
}

/// A closed padlock says that a token is being sent. Nobody has given the page one yet.
#[cfg(feature = "system-tests")]
#[test]
fn the_padlocks_of_the_page_are_open_and_stand_where_a_token_may_be_sent() {
    let server = Server::start();

    let page = crate::support::browser::page(&format!("http://{}/docs", server.address));

    let shown = |state: &str| page.matches(&format!("aria-label=\"authorization button {state}\"")).count();
    let with_token = operations().filter(|(_, operation)| operation["security"] != json!([])).count();
    assert_eq!((shown("locked"), shown("unlocked")), (0, with_token));
    assert_eq!(with_token, operations().count() - 3);
}

#[test]
fn the_root_and_a_path_with_a_slash_lead_to_the_page() {
    let server = Server::start();
    for path in ["//", "//docs/"] {
        let answer = server.anon().get(path);
        assert_eq!((answer.status, answer.header("location"), answer.body.len()), (307, "/docs", 0), "{path}");
    }
}

#[test]
fn the_page_can_be_turned_off() {
    let server = Server::with(|settings| settings.http.docs = false);
    for path in ["//docs", "//docs/", "//"] {
        server.anon().get(path).is(404, "not_found");
    }
    assert_eq!(server.anon().get("/openapi.json").status, 200);
}

#[test]
fn an_operation_without_query_parameters_refuses_them_and_does_nothing() {
    let server = Server::start();
    let root = server.admin("root");
    let before = server.rows();
    for (path, operations) in spec()["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            if parameters.clone().any(|parameter| parameter["in"] == "query") {
                continue;
            }
            let names = parameters.filter_map(|parameter| parameter["name"].as_str());
            let path = names.fold(path.clone(), |path, name| path.replace(&format!("{{{name}}}"), "1"));
            let answer = root.send(&method.to_uppercase(), &format!("{path}?limit=1&limit=2&x"), &[], None);
            assert_eq!(answer.faulty(), ["limit", "x"], "{method} {path}");
        }
    }
    assert_eq!(server.rows(), before);
    assert_eq!(root.get("/auth/me?").status, 200, "an empty query is none");
    assert_eq!(root.send("HEAD", "/auth/me?x", &[], None).status, 400);
}
