//! Paths, ids in them, and methods.

use crate::support::{
    Server,
    hostile::{CANARY, attack, code, refused, request, statuses},
    probes::Probes,
};

#[test]
fn an_id_that_is_not_canonical_names_nobody() {
    let server = Server::start();
    let root = server.admin("root");
    assert_eq!(root.id, 1);
    let header = format!("Authorization: Bearer {}", root.token.as_deref().expect("a token"));
    let ids = "0 -1 +1 01 1e3 1.0 0x1 1_000 9223372036854775807 9223372036854775808 18446744073709551617 \
        99999999999999999999999999999999999999 %00 1%00 %D9%A1 %EF%BC%91 %20%31 1%20 1%0A 1%2F %2F1 %2e%2e 1;x 1,2 * \
        me null abc ' 1'-- % %zz 1% %u0031";
    let attacks = ids.split(' ').flat_map(|id| {
        let (header, user) = (header.clone(), format!("/api/v1/users/{id}"));
        [("GET", ""), ("PUT", r#"{"username": "Canary7Zq"}"#), ("DELETE", "")].map(|(method, body)| {
            let line = format!("{method} {user}");
            let bytes = request(&line, &[&header, "Content-Type: application/json"], body);
            attack(line, bytes, 404, "user_not_found")
        })
    });

    refused(&server, attacks.collect());
}

#[test]
fn an_escape_of_ascii_stands_for_its_character() {
    let server = Server::start();
    let root = server.admin("root");
    assert_eq!(root.get("/users/%31").json()["username"], "root");
}

#[test]
fn an_id_that_is_no_utf8_names_nobody_and_is_told_so_only_to_who_is_signed_in() {
    let server = Server::start();
    let root = server.admin("root");
    let header = format!("Authorization: Bearer {}", root.token.as_deref().expect("a token"));
    let attacks = ["%FF", "%C0%B1", "1%FF"].into_iter().flat_map(|id| {
        let line = format!("GET /api/v1/users/{id}");
        [
            attack(format!("{line}, signed in"), request(&line, &[&header], ""), 404, "user_not_found"),
            attack(format!("{line}, without a token"), request(&line, &[], ""), 401, "authentication_required"),
        ]
    });

    refused(&server, attacks.collect());
}

#[test]
fn a_path_has_one_spelling() {
    let server = Server::start();
    let root = server.admin("root");
    let header = format!("Authorization: Bearer {}", root.token.as_deref().expect("a token"));
    let paths = "// /api /api/v1 /api/v1/ /api/v1//users/1 /api//v1/users/1 //api/v1/users/1 /api/v1/./users/1 \
        /api/v1/users/../users/1 /api/v1/users//1 /api/v1/users/1/ /api/v1/users/1// /api/v1/users%2F1 \
        /api%2Fv1%2Fusers%2F1 /API/v1/users/1 /api/v1/Users/1 /api/v1/users/ /api/v1/auth/me/ /api/v1/auth//me \
        /api/v1/auth /healthz/ //healthz /./healthz /HEALTHZ /readyz/ /docs// /docs/index.html /api/v1/openapi.json/ \
        /api/v1/openapi.yaml /api/v1/../../healthz /healthz%00 /.env /metrics /Canary7Zq?q=Canary7Zq \
        /api/v1/Canary7Zq /api/v1/auth/me;a=b /* /:param0 /api/v1/*--poem-rest /..%2f..%2fetc/passwd /\\\\example";
    let attacks =
        paths.split(' ').map(|path| attack(path, request(&format!("GET {path}"), &[&header], ""), 404, "not_found"));

    refused(&server, attacks.collect());
}

#[test]
fn a_method_that_a_path_does_not_have_is_answered_with_those_it_has() {
    let server = Server::start();
    for (method, path, allow) in [
        ("PATCH", "/users/1", "DELETE, GET, HEAD, PUT"),
        ("POST", "/users/1", "DELETE, GET, HEAD, PUT"),
        ("PUT", "/users", "GET, HEAD, POST"),
        ("DELETE", "/users", "GET, HEAD, POST"),
        ("GET", "/auth/login", "POST"),
        ("GET", "/auth/logout", "POST"),
        ("DELETE", "/auth/me", "GET, HEAD"),
        ("OPTIONS", "/users", "GET, HEAD, POST"),
        ("POST", "//healthz", "GET, HEAD"),
        ("PUT", "//readyz", "GET, HEAD"),
        ("DELETE", "//docs", "GET, HEAD"),
        ("POST", "//", "GET, HEAD"),
        ("PUT", "//docs/", "GET, HEAD"),
        ("POST", "//api/v1/openapi.json", "GET, HEAD"),
    ] {
        let line = format!(
            "{method} {}",
            path.strip_prefix('/')
                .filter(|rest| rest.starts_with('/'))
                .map_or_else(|| format!("/api/v1{path}"), str::to_owned)
        );
        let answer = server.raw(request(&line, &[], ""));

        assert_eq!((statuses(&answer), code(&answer)), (vec![405], "method_not_allowed"), "{line}: {answer}");
        assert!(
            answer.to_lowercase().contains(&format!("\r\nallow: {}\r\n", allow.to_lowercase())),
            "{line}: {answer}"
        );
    }
}

#[test]
fn head_answers_as_get_does_without_a_body() {
    let server = Server::start();
    let root = server.admin("root");
    let header = format!("Authorization: Bearer {}", root.token.as_deref().expect("a token"));
    for path in ["/healthz", "/readyz", "/docs", "/api/v1/openapi.json", "/api/v1/auth/me", "/api/v1/users/1"] {
        let answer = server.raw(request(&format!("HEAD {path}"), &[&header], ""));

        assert_eq!(statuses(&answer), [200], "{path}: {answer:.600}");
        assert!(answer.ends_with("\r\n\r\n"), "{path}: {answer:.600}");
        let length = answer.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        assert_ne!(length, "0", "{path}: how long the content of a GET is");
    }
}

#[test]
fn what_stands_beside_the_api_needs_no_token_and_minds_no_query() {
    let server = Server::start();
    let before = server.rows();
    for path in ["/healthz", "/readyz", "/docs", "/api/v1/openapi.json"] {
        for line in [format!("GET {path}"), format!("GET {path}?Canary7Zq=%00%ff&Canary7Zq")] {
            let answer = server.raw(request(&line, &["Authorization: Bearer Canary7Zq"], "a body that nobody reads"));

            assert_eq!(statuses(&answer), [200], "{line}: {answer:.600}");
            assert!(!answer.contains(CANARY), "{line}");
        }
    }
    assert_eq!(server.rows(), before);
}
