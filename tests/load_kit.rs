//! The load kit measures what it says it measures: its rank test, its rates and percentiles, what it reads of processes,
//! and the databases that it makes.

#[path = "../benches/kit/mod.rs"]
mod kit;

use kit::{
    figures::{least, median, most, quantile, with_range},
    http::Connection,
    load::{self, Requests, Until},
    process::{Folder, Process},
    ranks::compare,
    seeding::{self, BUSY, PASSWORD, Size, seed, tokens_beside},
    server::Serving,
};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

#[test]
fn the_rank_test_gives_the_figures_of_the_textbook() {
    // From scipy.stats.mannwhitneyu(first, second, method="asymptotic"), SciPy 1.17.
    let compared = compare(&[1.0, 2.0, 4.0, 4.0, 7.0, 9.0], &[2.0, 4.0, 5.0, 8.0, 10.0, 11.0, 12.0]);

    assert!((compared.u - 10.5).abs() < 1e-9, "{compared:?}");
    assert!((compared.p - 0.150_296_406_018_735_2).abs() < 1e-9, "{compared:?}");
    assert!((compared.superiority - compared.u / 42.0).abs() < 1e-9 && compared.z < 0.0);
}

#[test]
fn the_rank_test_is_the_same_the_other_way_round_and_finds_nothing_in_what_is_alike() {
    let (one, other) = ([3.0, 1.0, 4.0, 1.0, 5.0], [9.0, 2.0, 6.0, 5.0]);
    let (there, back) = (compare(&one, &other), compare(&other, &one));
    assert!((there.z + back.z).abs() < 1e-12 && (there.p - back.p).abs() < 1e-12);
    assert!((there.u + back.u - 20.0).abs() < 1e-12);

    for alike in [compare(&one, &one), compare(&[1.0; 4], &[1.0; 5])] {
        assert!((alike.p - 1.0).abs() < 1e-12 && (alike.superiority - 0.5).abs() < 1e-12, "{alike:?}");
    }
}

#[test]
fn no_two_accounts_of_a_seeded_database_have_one_name() {
    const USERS: u32 = 50_000;
    let (mut names, mut emails) = (std::collections::HashSet::new(), std::collections::HashSet::new());
    for (name, email) in (1..=USERS).map(|number| seeding::name(number, USERS)) {
        usher::domain::Username::parse(&name).expect("a name");
        usher::domain::EmailAddress::parse(&email).expect("an address");
        assert!(names.insert(name.to_lowercase()) && emails.insert(email));
    }
}

#[test]
fn a_seeded_database_is_served_and_its_tokens_and_password_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seeded.db");
    let size = Size { users: 1_000, sessions: 1_000 };

    seed(&file, size, &["--argon2-memory", "64"]).unwrap();

    let server = Serving::start(&file, &["--argon2-memory", "64"]).unwrap();
    let mut connection = server.connect().unwrap();
    let login = json!({"email": seeding::ADMIN.1, "password": PASSWORD});
    let admin = connection.post("/auth/login", &login).unwrap().ok().unwrap().json().unwrap();
    let mut get = |path: &str, token: &str| connection.get(path, Some(token)).unwrap().ok().unwrap().json().unwrap();
    let token = admin["token"].as_str().unwrap();
    for (filter, total) in [("", 1_000), ("&role=admin", 1), ("&disabled=true", 10), ("&q=s2026-", 100)] {
        assert_eq!(get(&format!("/users?limit=1&count=true{filter}"), token)["total"], total, "{filter}");
    }
    assert_eq!(get(&format!("/users/{BUSY}/sessions"), token)["sessions"].as_array().unwrap().len(), 100);
    let tokens = std::fs::read_to_string(tokens_beside(&file)).unwrap();
    for line in tokens.lines().step_by(97) {
        let [token, _, user] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert_eq!(get("/auth/me", token)["id"].to_string(), user);
    }
    let (_, email) = seeding::name(3, size.users);
    connection.post("/auth/login", &json!({"email": email, "password": PASSWORD})).unwrap().ok().unwrap();
    assert!(seed(&file, size, &[]).is_err(), "a file that is there is left alone");
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A server of the test's own, which notes what it is asked, and when.
struct Noting {
    address: SocketAddr,
    noted: Arc<Mutex<Noted>>,
}

#[derive(Default)]
struct Noted {
    connections: usize,
    requests: Vec<(String, Instant)>,
}

impl Noting {
    /// Answers each request, by its number from zero, with these pieces.
    fn start(answer: impl Fn(usize) -> Vec<String> + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, noted) = (listener.local_addr().unwrap(), Arc::<Mutex<Noted>>::default());
        let shared = Arc::clone(&noted);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                shared.lock().unwrap().connections += 1;
                let (shared, answer) = (Arc::clone(&shared), answer.clone());
                std::thread::spawn(move || converse(stream.unwrap(), &shared, &answer));
            }
        });
        Self { address, noted }
    }

    fn asked(&self) -> usize {
        self.noted.lock().unwrap().requests.len()
    }
}

/// Answers requests without a body until the client leaves.
fn converse(mut stream: TcpStream, noted: &Mutex<Noted>, answer: &impl Fn(usize) -> Vec<String>) {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while matches!(stream.read(&mut byte), Ok(1)) {
        request.extend(byte);
        if request.ends_with(b"\r\n\r\n") {
            let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
            let number = {
                let requests = &mut noted.lock().unwrap().requests;
                requests.push((line, Instant::now()));
                requests.len() - 1
            };
            for piece in answer(number) {
                let _ = stream.write_all(piece.as_bytes()); // the client may have left
            }
            request.clear();
        }
    }
}

/// `GET /0`, `GET /1` and so on.
fn numbered() -> Requests {
    let mut number = 0;
    Box::new(move |buffer| {
        buffer.extend(get(number));
        number += 1;
    })
}

fn get(number: u32) -> Vec<u8> {
    format!("GET /{number} HTTP/1.1\r\nHost: here\r\n\r\n").into_bytes()
}

#[test]
fn a_load_counts_each_answer_once_over_connections_that_are_kept() {
    const PAUSE: Duration = Duration::from_millis(50);
    let server = Noting::start(|number| {
        std::thread::sleep(if number == 0 { PAUSE } else { Duration::ZERO });
        vec![OK.into()]
    });
    let begun = Instant::now();

    let load = load::run(server.address, 3, Until::Answered(100), numbered()).unwrap();

    let whole = begun.elapsed();
    let noted = server.noted.lock().unwrap();
    assert_eq!((load.answered, noted.requests.len(), noted.connections), (100, 100, 3));
    let mut asked: Vec<&str> = noted.requests.iter().map(|(line, _)| line.as_str()).collect();
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked.len(), 100, "each request is sent once");
    assert!(PAUSE <= load.took && load.took <= whole, "{load:?}");
    assert!((load.rate() * load.took.as_secs_f64() - 100.0).abs() < 1e-6, "{load:?}");
}

#[test]
fn a_load_of_some_time_counts_what_was_answered_in_it() {
    const SPAN: Duration = Duration::from_millis(200);
    let server = Noting::start(|_| vec![OK.into()]);
    let load = load::run(server.address, 2, Until::Passed(SPAN), numbered()).unwrap();
    assert_eq!(usize::try_from(load.answered), Ok(server.asked()));
    assert!(load.took >= SPAN, "{load:?}");
}

#[test]
fn a_load_reads_answers_that_come_in_pieces_or_without_a_body() {
    let server = Noting::start(|number| match number % 3 {
        0 => OK.split_inclusive('n').map(str::to_owned).collect(),
        1 => vec!["HTTP/1.1 204 No Content\r\n".into(), "Date: now\r\n\r\n".into()],
        _ => vec!["HTTP/1.1 201 Created\r\ncontent-LENGTH:3000\r\n\r\n".into(), "x".repeat(3_000)],
    });
    let load = load::run(server.address, 1, Until::Answered(9), numbered()).unwrap();
    assert_eq!((load.answered, server.asked()), (9, 9));
}

#[test]
fn a_load_fails_by_any_answer_that_is_not_a_success_or_not_whole() {
    for (answer, why) in [
        ("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", "answered HTTP/1.1 500"),
        ("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", "answered HTTP/1.1 429"),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n", "answered HTTP/1.1 304"),
        ("HTTP/1.1 200 OK\r\n\r\n", "without a length"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nok", "more than the answer"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n", "more than 65536 bytes"),
    ] {
        let (answer, body) =
            (answer.to_owned(), if answer.contains("70000") { "x".repeat(70_000) } else { String::new() });
        let server =
            Noting::start(move |number| vec![if number == 5 { answer.clone() + &body } else { OK.to_owned() }]);
        let failed = load::run(server.address, 2, Until::Answered(20), numbered()).unwrap_err().to_string();
        assert!(failed.contains(why), "{why}: {failed}");
    }
    let nobody = kit::process::free_address().unwrap();
    assert!(load::run(nobody, 1, Until::Answered(1), numbered()).is_err());
}

#[test]
fn a_paced_load_sends_no_request_early_and_counts_the_wait_of_those_that_are_late() {
    // given
    const EVERY: Duration = Duration::from_millis(4);
    const STALL: Duration = Duration::from_millis(60);
    let server = Noting::start(|number| {
        std::thread::sleep(if number == 5 { STALL } else { Duration::ZERO });
        vec![OK.into()]
    });
    let begun = Instant::now();

    // when
    let times = load::paced(server.address, EVERY, EVERY * 10, &[get(0), get(1), get(2)]).unwrap();

    // then
    let noted = server.noted.lock().unwrap();
    assert_eq!((times.len(), noted.requests.len(), noted.connections), (10, 10, 1));
    for (number, (line, at)) in (0_u32..).zip(&noted.requests) {
        assert!(line.starts_with(&format!("GET /{} ", number % 3)), "{line}");
        assert!(*at - begun >= EVERY * number, "request {number} came early");
    }
    for late in 5..10 {
        let least = STALL - EVERY * (late - 5);
        assert!(times[late as usize] >= least, "request {late} waited {least:?} at least: {times:?}");
    }
}

#[test]
fn a_paced_load_fails_by_an_answer_that_is_not_a_success() {
    let server = Noting::start(|_| vec!["HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".into()]);
    let span = Duration::from_millis(3);
    let failed = load::paced(server.address, Duration::from_millis(1), span, &[get(0)]).unwrap_err();
    assert!(failed.to_string().contains("503"), "{failed}");
}

#[test]
fn a_connection_is_kept_and_its_answers_are_read_whole() {
    let server = Noting::start(|number| {
        let body = "x".repeat(number * 40_000);
        vec![format!("HTTP/1.1 20{number} OK\r\nX-Number: {number}\r\nContent-Length: {}\r\n\r\n", body.len()), body]
    });
    let mut connection = Connection::open(server.address).unwrap();
    for number in 0..3_u16 {
        let answer = connection.get("/it", Some("token")).unwrap();
        assert_eq!((answer.status, answer.header("x-number")), (200 + number, Some(number.to_string().as_str())));
        assert_eq!(answer.body.len(), usize::from(number) * 40_000);
    }
    let noted = server.noted.lock().unwrap();
    assert_eq!((noted.connections, noted.requests[2].0.as_str()), (1, "GET /api/v1/it HTTP/1.1"));
}

#[test]
fn a_quantile_is_the_value_of_the_nearest_rank() {
    let mut sample: Vec<f64> = (1..=200).rev().map(f64::from).collect();
    sample.swap(3, 150);
    let is = |figure: f64, expected: f64| assert!((figure - expected).abs() < 1e-12, "{figure} is not {expected}");
    for (share, expected) in [(0.5, 100.0), (0.9, 180.0), (0.99, 198.0), (0.991, 199.0), (1.0, 200.0)] {
        is(quantile(&sample, share), expected);
    }
    is(median(&[3.0, 1.0, 2.0]), 2.0);
    is(least(&sample), 1.0);
    is(most(&sample), 200.0);
    assert!(quantile(&[], 0.5).is_nan());
    assert_eq!(with_range(&[900.0, 3_100.0, 1_200.0]), "1.2 ms [0.9–3.1]");
}

#[cfg(target_os = "linux")]
#[test]
fn the_memory_of_a_process_is_that_of_all_its_descendants_which_end_with_it() {
    /// Shells, one below the other; each holds 16 MiB and then writes a file with its number.
    const SHELLS: &str = r#"
    hold() { x=$(head -c 16777216 /dev/zero | tr '\0' x); echo $$ >"$1.new"; mv "$1.new" "$1"; }
    case $1 in
        outer) sh -c "$0" "$0" inner & hold outer; wait ;;
        inner) sh -c "$0" "$0" innermost & hold inner; wait ;;
        *) hold innermost; sleep 600 & wait ;;
    esac"#;

    let folder = Folder::new().unwrap();
    let mut shells = Command::new("sh");
    shells.args(["-c", SHELLS, SHELLS, "outer"]).current_dir(&*folder).stdout(Stdio::null());
    let mut process = Process::start(&mut shells).unwrap();
    let files = ["outer", "inner", "innermost"].map(|name| folder.join(name));
    process.wait_until(|| files.iter().all(|file| file.exists())).unwrap();

    let memory = process.pss().unwrap();

    assert!((48.0..480.0).contains(&memory), "three times 16 MiB at least: {memory} MiB");
    let id = |file| std::fs::read_to_string(file).unwrap().trim().to_owned();
    let ids = files.map(id);
    assert_eq!(ids[0], process.id().to_string());
    drop(process);
    let lives = |id: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    let begun = Instant::now();
    while ids.iter().any(lives) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{ids:?} outlive the process that started them");
        std::thread::yield_now();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_memory_of_a_server_is_told_in_the_units_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(&folder.path().join("usher.db"), &["--argon2-memory", "64"]).unwrap();
    let (pss, held, most) =
        (server.process.pss().unwrap(), server.memory("VmRSS").unwrap(), server.memory("VmHWM").unwrap());
    assert!(held <= most && (2 * 1024..512 * 1024).contains(&most), "{held} KiB, {most} KiB at most");
    assert!(pss > 1.0 && pss * 1024.0 < f64::from(u32::try_from(most).unwrap()), "{pss} MiB of {most} KiB");
}
