//! Requests on their way: bodies, queries, preflights, web sockets, and answers of the app.

use super::{Answer, GRANTED, Kind, NOTES, PREFLIGHT, Proxy, Reached, Site, Small, bearer};
use crate::support::small::{read_bytes, read_line};
use std::io::Write;

behind_each_proxy! {
    the_query_of_a_request_is_not_a_question_to_usher,
    a_body_arrives_whole,
    a_refused_body_is_not_the_next_request,
    a_preflight_reaches_the_app_without_a_caller,
    what_is_no_preflight_needs_a_token,
    a_websocket_needs_a_token_and_no_other_protocol_is_switched_to,
    nothing_but_a_get_begins_a_websocket,
    a_refusal_can_be_read_by_a_page_of_an_origin_that_usher_grants,
    what_the_app_refuses_itself_is_passed_on_as_it_is,
}

fn the_query_of_a_request_is_not_a_question_to_usher(site: &Site) {
    let ada = site.user("ada");
    for query in ["role=admin", "role=user&role=user", "x=1", "", "%00", "?", "role"] {
        let target = format!("/notes?{query}");
        let reached = site.reached(&site.get_as(&ada, &target));
        assert_eq!((reached.target.as_str(), reached.caller()[3]), (target.as_str(), "user"));
        site.refused(&site.get_as(&ada, &format!("/admin?{query}")), 403);
    }
    site.refused(&site.get_as(&ada, "/admin?role=user"), 403);
}

fn a_body_arrives_whole(site: &Site) {
    let ada = site.user("ada");
    let large: Vec<u8> = (0..1_048_576 * 2).map(|n: u32| n.to_le_bytes()[(n % 3) as usize]).collect();
    for body in [&b""[..], b"x", &large] {
        let length = body.len().to_string();
        let reached = site.reached(&site.send_as(&ada, "POST", "/notes", &[("Content-Length", &length)], body));
        assert!(reached.method == "POST" && reached.body == body, "{length}: {}", reached.body.len());

        let waits = [("Content-Length", length.as_str()), ("Expect", "100-continue")];
        assert!(site.reached(&site.send_as(&ada, "PATCH", "/notes", &waits, body)).body == body, "{length}");

        let chunks: Vec<u8> = body
            .chunks(60_000)
            .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())
            .collect();
        let chunked = [&chunks[..], b"0\r\n\r\n"].concat();
        let headers = [("Transfer-Encoding", "chunked"), ("Content-Type", "application/octet-stream")];
        let reached = site.reached(&site.send_as(&ada, "PUT", "/notes", &headers, &chunked));
        assert!(reached.method == "PUT" && reached.body == body, "{length} chunked: {}", reached.body.len());
        assert_eq!((reached.caller()[0], reached.all("content-type")), ("ada", vec!["application/octet-stream"]));
    }
}

fn a_refused_body_is_not_the_next_request(site: &Site) {
    let ada = site.user("ada");
    let inner = "GET /smuggled HTTP/1.1\r\nHost: notes.example.com\r\nRemote-User: root\r\n\r\n";
    let refused =
        format!("POST /first HTTP/1.1\r\nHost: notes.example.com\r\nContent-Length: {}\r\n\r\n{inner}", inner.len());
    let second = format!(
        "GET /second HTTP/1.1\r\nHost: notes.example.com\r\nAuthorization: {}\r\nConnection: close\r\n\r\n",
        bearer(&ada)
    );

    let text = site.proxy.raw(NOTES, format!("{refused}{second}"));

    assert!(text.starts_with("HTTP/1.1 401 "), "{text}");
    let targets: Vec<String> = site.app.take().into_iter().map(|reached| reached.target).collect();
    assert_eq!(targets, ["/second"]);
}

fn a_preflight_reaches_the_app_without_a_caller(site: &Site) {
    for target in ["/notes", "/admin/users"] {
        let forged =
            [("Remote-User", "root"), ("Remote_User", "root"), ("Remote-User-Id", "1"), ("Remote-Role", "admin")];
        for headers in [PREFLIGHT.to_vec(), [&PREFLIGHT[..], &forged, &[("Authorization", "Bearer x")]].concat()] {
            let reached = site.reached(&site.send("OPTIONS", target, &headers, b""));
            assert_eq!((reached.method.as_str(), reached.target.as_str()), ("OPTIONS", target));
            assert!(reached.is_anonymous(), "{reached:?}");
            for (name, value) in PREFLIGHT {
                assert_eq!(reached.all(name), [value]);
            }
        }
    }
}

fn what_is_no_preflight_needs_a_token(site: &Site) {
    let ada = site.user("ada");
    for headers in [
        &PREFLIGHT[..1],
        &PREFLIGHT[1..2],
        &[],
        &[("Origin", ""), PREFLIGHT[1]],
        &[PREFLIGHT[0], ("Access-Control-Request-Method", "")],
    ] {
        site.refused(&site.send("OPTIONS", "/notes", headers, b""), 401);
        assert_eq!(site.reached(&site.send_as(&ada, "OPTIONS", "/notes", headers, b"")).caller()[0], "ada");
    }
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONSX"] {
        let headers = [&PREFLIGHT[..], &[("X-HTTP-Method-Override", "OPTIONS")]].concat();
        // Without a token, what could change something for a page of another origin is not even asked to sign in.
        let status = if ["GET", "HEAD"].contains(&method) { 401 } else { 403 };
        site.refused(&site.send(method, "/notes", &headers, b""), status);
    }
}

fn a_websocket_needs_a_token_and_no_other_protocol_is_switched_to(site: &Site) {
    let ada = site.user("ada");
    let (token, key) = (bearer(&ada), "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    let upgrade = |protocol: &str, token: &str| {
        format!(
            "GET /live HTTP/1.1\r\nHost: notes.example.com\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\n\
             HTTP2-Settings: AAMAAABkAAQAAP__\r\n{key}{token}\r\n"
        )
    };

    let mut stream = site.proxy.connect(NOTES);
    stream.write_all(upgrade("WebSocket", &format!("Authorization: {token}\r\n")).as_bytes()).unwrap();
    assert_eq!(read_line(&mut stream).as_deref(), Some("HTTP/1.1 101 Switching Protocols"));
    while !read_line(&mut stream).unwrap().is_empty() {}
    stream.write_all(b"hello").unwrap();
    assert_eq!(read_bytes(&mut stream, 5).unwrap(), b"hello");
    let reached = site.app.take().remove(0);
    assert_eq!((reached.caller()[0], reached.all("sec-websocket-version")), ("ada", vec!["13"]));

    site.refused(&site.raw(upgrade("websocket", "Connection: close\r\n")), 401);
    site.refused(
        &site.raw(upgrade("h2c", "Connection: close\r\n")),
        if site.kind == Kind::Traefik { 418 } else { 401 },
    );
    // One that is not what it seems: named after another, or with our headers among those to be taken away.
    for headers in
        ["Upgrade: h2c\r\nUpgrade: websocket\r\n", "Upgrade: websocket\r\nConnection: Remote-User-Id, Upgrade\r\n"]
    {
        let mut stream = site.proxy.connect(NOTES);
        let head =
            format!("GET / HTTP/1.1\r\nHost: notes.example.com\r\nConnection: Upgrade, Remote-User\r\n{headers}{key}");
        stream.write_all(format!("{head}Authorization: {token}\r\n\r\n").as_bytes()).unwrap();
        if read_line(&mut stream).is_some_and(|line| line.contains(" 418 ")) {
            assert!(site.kind == Kind::Traefik && headers.contains("h2c") && site.app.take().is_empty(), "{headers}");
            continue;
        }
        let reached = site.app.take().remove(0);
        assert_eq!(reached.caller()[..2], ["ada", ada.id.to_string().as_str()]);
        assert!(!format!("{:?}", reached.all("upgrade")).contains("h2c"), "{reached:?}");
    }
    for protocol in ["h2c", "h2c, websocket", "TLS/1.2"] {
        let more = format!("Authorization: {token}\r\nConnection: close\r\n");
        passed_without_upgrade(site, &site.raw(upgrade(protocol, &more)));
    }
}

/// Asserts that the request came through, and no wish for another protocol with it. Traefik refuses such requests.
#[track_caller]
fn passed_without_upgrade(site: &Site, answer: &Answer) -> Option<Reached> {
    if site.kind == Kind::Traefik {
        site.refused(answer, 418);
        return None;
    }
    let reached = site.reached(answer);
    assert!(reached.all("upgrade").is_empty(), "{reached:?}");
    Some(reached)
}

fn nothing_but_a_get_begins_a_websocket(site: &Site) {
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    let headers = [&PREFLIGHT[..], &upgrade].concat();
    let text = headers.iter().fold(String::new(), |text, (name, value)| text + name + ": " + value + "\r\n");
    let ada = site.user("ada");
    for authorization in [String::new(), format!("Authorization: {}\r\n", bearer(&ada))] {
        let request =
            format!("OPTIONS / HTTP/1.1\r\nHost: notes.example.com\r\n{text}{authorization}Connection: close\r\n\r\n");
        let reached = passed_without_upgrade(site, &site.raw(request));
        assert!(reached.is_none_or(|reached| reached.is_anonymous()));
    }
    let post = [&upgrade[..], &[("Content-Length", "0"), ("Connection", "close")]].concat();
    passed_without_upgrade(site, &site.send_as(&ada, "POST", "/", &post, b""));
}

fn a_refusal_can_be_read_by_a_page_of_an_origin_that_usher_grants(site: &Site) {
    let ada = site.user("ada");
    let bearer = bearer(&ada);
    for (target, token, status, challenge) in [
        ("/", None, 401, Some("Bearer")),
        ("/", Some("Bearer ush_nonsense"), 401, Some("Bearer error=\"invalid_token\"")),
        ("/admin", Some(bearer.as_str()), 403, None),
    ] {
        for (origin, granted) in
            [(Some(GRANTED), Some(GRANTED)), (Some("https://elsewhere.example"), None), (None, None)]
        {
            let headers: Vec<_> = origin
                .map(|origin| ("Origin", origin))
                .into_iter()
                .chain(token.map(|token| ("Authorization", token)))
                .chain([("Sec-Fetch-Mode", "cors")])
                .collect();

            let answer = site.send("GET", target, &headers, b"");

            site.refused(&answer, status);
            assert_eq!(answer.all("access-control-allow-origin"), Vec::from_iter(granted), "{answer:?}");
            let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
            assert_eq!(exposed.contains("WWW-Authenticate"), granted.is_some(), "{answer:?}");
            assert_eq!(answer.all("www-authenticate"), Vec::from_iter(challenge), "{answer:?}");
            assert_eq!(
                (answer.all("vary"), answer.all("cache-control")),
                (vec!["Origin"], vec!["no-store"]),
                "{answer:?}"
            );
        }
    }
    let answer = site.send_as(&ada, "GET", "/", &[("Origin", GRANTED)], b"");
    assert!(
        answer.all("access-control-allow-origin").is_empty(),
        "the app's answers are the app's to grant: {answer:?}"
    );
    site.reached(&answer);
}

fn what_the_app_refuses_itself_is_passed_on_as_it_is(site: &Site) {
    let yes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRemote-User: ada\r\n\r\n";
    let no = "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\nAccess-Control-Allow-Origin: *\r\n\r\nnot yours";
    let (folder, usher, app) = (tempfile::tempdir().unwrap(), Small::start(yes), Small::start(no));
    let proxy = Proxy::start(site.kind, folder.path(), usher.address, app.address, app.address);

    let answer = proxy.raw(NOTES, "GET / HTTP/1.1\r\nHost: notes.example.com\r\nConnection: close\r\n\r\n");

    let answer = Answer::read(answer);
    assert_eq!((answer.status, answer.body.as_str()), (403, "not yours"), "{answer:?}");
    assert_eq!((answer.all("access-control-allow-origin"), answer.header("vary")), (vec!["*"], None), "{answer:?}");
}
