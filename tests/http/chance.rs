//! Requests made by chance.

use crate::support::{
    Server,
    hostile::{json_request, request, statuses},
    probes::Probes,
};

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 8, failure_persistence: None, ..Default::default() })]

    #[test]
    fn bodies_and_paths_made_by_chance_never_get_a_5xx(
        bodies in proptest::collection::vec("(\\{?(\"(username|email|password|role|\\PC{0,3})\":?,?|[0-9eE+.-]{1,4},?|\\[|\\]|null|\\\\u[0-9a-f]{4}|[\"{}:, ]){0,12}\\}?)", 24),
        paths in proptest::collection::vec("/(api/v1|healthz|docs|readyz)?/?(users|auth|me|login|openapi.json)?/?[!$-;=@-Z_a-z~]{0,12}(%[0-9a-fA-F]{2}){0,4}", 24),
    ) {
        let server = Server::start();
        let root = server.admin("root");
        let header = format!("Authorization: Bearer {}", root.token.as_deref().expect("a token"));
        let before = server.rows();
        for (body, path) in bodies.iter().zip(&paths) {
            let requests = [
                json_request("POST /api/v1/users", body),
                json_request("POST /api/v1/auth/login", body),
                request("PUT /api/v1/users/1", &[&header, "If-Match: \"1.0\"", "Content-Type: application/json"], body),
                request(&format!("GET {path}"), &[&header], ""),
                request(&format!("OPTIONS {path}"), &[], ""),
            ];
            for bytes in requests {
                let answer = server.raw(&bytes);
                let got = statuses(&answer);
                proptest::prop_assert!(got.len() == 1 && got[0] < 500, "{:?}: {answer:.400}", String::from_utf8_lossy(&bytes));
            }
        }
        proptest::prop_assert_eq!(server.rows(), before);
    }
}
