//! The house keeps its order: imports point down only.

use std::path::{Path, PathBuf};

/// Each room with the rooms it may know, and libraries that belong to one room alone. A file lies in the innermost room that
/// its path names.
const ROOMS: [(&str, &[&str]); 22] = [
    ("domain", &[]),
    ("heap", &[]),
    ("clock", &["domain"]),
    ("hashing", &["domain"]),
    ("store", &["domain", "clock", "store/tables", "store/sqlite"]),
    ("store/tables", &["domain", "store"]),
    ("store/sqlite", &["domain", "store", "store/tables"]),
    ("app", &["domain", "clock", "hashing", "store"]),
    ("http/settings", &["domain"]),
    ("http/server", &["domain"]),
    ("http/context", &["domain", "app", "http/server"]),
    ("http/wire", &["domain", "app", "http/context"]),
    ("http/auth", &["domain", "http/context", "http/wire"]),
    ("http/api", &["domain", "app", "http/auth", "http/wire"]),
    ("http/pages", &["domain", "app", "http/context", "http/auth", "http/wire"]),
    ("http/probes", &["http/context", "http/wire"]),
    ("http/docs", &["http/api"]),
    ("http/metrics", &["app", "http/wire"]),
    ("http/edge", &["domain", "app", "http/settings", "http/server", "http/context", "http/metrics", "http/wire"]),
    ("http", HTTP),
    ("config", &["domain", "hashing", "app", "http"]),
    ("cli", &["domain", "clock", "hashing", "store", "app", "config", "http"]),
];
/// What the routes and the server are put together from.
const HTTP: &[&str] = &[
    "domain",
    "heap",
    "app",
    "http/settings",
    "http/server",
    "http/context",
    "http/wire",
    "http/api",
    "http/pages",
    "http/probes",
    "http/docs",
    "http/metrics",
    "http/edge",
];
const LIBRARIES: [(&str, &str); 13] = [
    ("rusqlite", "store/sqlite"),
    ("r2d2", "store/sqlite"),
    ("scheduled_thread_pool", "store/sqlite"),
    ("rusqlite_migration", "store/sqlite"),
    ("poem", "http"),
    ("poem_openapi", "http"),
    ("multer", "http/wire"),
    ("prometheus_client", "http"),
    ("argon2", "hashing"),
    ("bcrypt", "hashing"),
    ("pbkdf2", "hashing"),
    ("scrypt", "hashing"),
    ("sha1", "hashing"),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// A source file.
struct File {
    /// Where it stands among the modules: `["http", "wire", "body"]`.
    module: Vec<String>,
    path: PathBuf,
    text: String,
}

impl File {
    fn room(&self) -> Option<&'static str> {
        room(&self.module)
    }

    /// The modules that it takes anything from, beside those that it lies in.
    fn imports(&self) -> Vec<Vec<String>> {
        let mut imports = paths(&code(&self.text), &self.module);
        imports.retain(|path| !self.module.starts_with(path));
        imports
    }
}

/// The room of a module; `main` and `lib` lie in none.
fn room(module: &[String]) -> Option<&'static str> {
    let lies_in = |room: &str| module.starts_with(&room.split('/').map(str::to_owned).collect::<Vec<_>>());
    let rooms = ROOMS.iter().map(|(room, _)| *room).filter(|room| lies_in(room));
    rooms.max_by_key(|room| room.len())
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let file = |path: PathBuf| {
        let parts = path.strip_prefix(&root).unwrap().with_extension("");
        let module = parts.iter().map(|part| part.to_str().unwrap().to_owned()).filter(|part| part != "mod").collect();
        let text = std::fs::read_to_string(&path).unwrap();
        File { module, path, text }
    };
    paths.into_iter().map(file).collect()
}

/// The code that is not tests, without comments: what comes before `#[cfg(test)]`.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap();
    code.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// Whether `code` names the path `first::`, at the beginning of a path.
fn names(code: &str, first: &str) -> bool {
    code.match_indices(&format!("{first}::")).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == ':'))
    })
}

fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Every path in `code`, which is that of `module`, that begins with `crate::` or `super::`; those in braces one by one.
fn paths(code: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for root in ["crate", "super"] {
        for (at, _) in code.match_indices(&format!("{root}::")) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| is_in_word(c) || c == ':') {
                continue;
            }
            let (trees, _) = tree(&code[at..]);
            found.extend(trees.into_iter().map(|path| absolute(path, module)));
        }
    }
    found
}

/// Reads a path, or a list of paths in braces, and returns what is left of the text.
fn tree(text: &str) -> (Vec<Vec<String>>, &str) {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        let mut paths = Vec::new();
        loop {
            let (some, after) = tree(rest);
            paths.extend(some);
            let after = after.find([',', '}']).map_or("", |at| &after[at..]);
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => return (paths, after.strip_prefix('}').unwrap_or_default()),
            }
        }
    }
    let end = text.find(|c| !is_in_word(c)).unwrap_or(text.len());
    let (word, rest) = (text[..end].to_owned(), &text[end..]);
    let Some(below) = rest.strip_prefix("::").filter(|_| !word.is_empty()) else {
        return (vec![if word.is_empty() { Vec::new() } else { vec![word] }], rest);
    };
    let (paths, rest) = tree(below);
    (paths.into_iter().map(|path| [vec![word.clone()], path].concat()).collect(), rest)
}

fn absolute(path: Vec<String>, module: &[String]) -> Vec<String> {
    let ups = path.iter().take_while(|word| *word == "super").count();
    let from = if path[0] == "crate" { &[] } else { &module[..module.len() - ups] };
    from.iter().cloned().chain(path.into_iter().filter(|word| word != "super" && word != "crate")).collect()
}

/// What is wrong with the order of the house, if it is built from these files.
fn disorder(files: &[File]) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in files {
        let Some(own) = file.room() else { continue };
        let (_, allowed) = ROOMS.iter().find(|(room, _)| *room == own).unwrap();
        for import in file.imports() {
            if let Some(other) = room(&import).filter(|other| *other != own && !allowed.contains(other)) {
                wrong.push(format!("{} must not know {other}", file.path.display()));
            }
        }
    }
    wrong.extend(circle(files));
    wrong
}

/// Files that need one another in a circle, if there are any. What lies in a module may know that module.
fn circle(files: &[File]) -> Option<String> {
    let target = |import: &Vec<String>| {
        let holding = files.iter().enumerate().filter(|(_, file)| import.starts_with(&file.module));
        holding.max_by_key(|(_, file)| file.module.len()).map(|(at, _)| at)
    };
    let needs = |file: &File| -> Vec<usize> {
        let others = file.imports().iter().filter_map(target).collect::<Vec<_>>();
        others.into_iter().filter(|at| !file.module.starts_with(&files[*at].module)).collect()
    };
    let needs: Vec<Vec<usize>> = files.iter().map(needs).collect();
    // What needs nothing that is left is no part of a circle.
    let mut left: Vec<usize> = (0..files.len()).collect();
    while let Some(at) = left.iter().position(|file| needs[*file].iter().all(|need| !left.contains(need))) {
        left.remove(at);
    }
    let names = |file: &usize| files[*file].path.display().to_string();
    (!left.is_empty()).then(|| format!("a circle among {}", left.iter().map(names).collect::<Vec<_>>().join(", ")))
}

#[test]
fn imports_point_down_only_and_in_no_circle() {
    assert_eq!(disorder(&files()), Vec::<String>::new());
}

#[test]
fn a_planted_import_upwards_or_in_a_circle_is_found_in_every_room() {
    for (room, allowed) in ROOMS {
        let upward = ROOMS.iter().map(|(other, _)| *other).find(|other| *other != room && !allowed.contains(other));
        let planted = |text: String| {
            let (module, path) = (room.split('/').chain(["planted"]).map(str::to_owned).collect(), PathBuf::from(room));
            let mut files = files();
            files.push(File { module, path, text });
            disorder(&files)
        };
        assert!(planted(String::new()).is_empty(), "{room}");
        if let Some(upward) = upward {
            assert_eq!(
                planted(format!("use crate::{}::Thing;", upward.replace('/', "::"))).len(),
                1,
                "{room} {upward}"
            );
        }

        let mut files = files();
        for (name, other) in [("one", "two"), ("two", "three"), ("three", "one")] {
            let module = room.split('/').chain([name]).map(str::to_owned).collect();
            let text = format!("use super::{{nothing, {other}::{{self, Thing}}}};");
            files.push(File { module, path: PathBuf::from(name), text });
        }
        assert_eq!(disorder(&files), ["a circle among one, two, three"], "{room}");
    }
}

#[test]
fn resources_do_not_know_one_another() {
    let api = ["http", "api"].map(str::to_owned);
    let files = files();
    let resources: Vec<&File> =
        files.iter().filter(|file| file.module.len() == 3 && file.module.starts_with(&api)).collect();
    for (one, other) in resources.iter().flat_map(|one| resources.iter().map(move |other| (one, other))) {
        let knows = one.module[2] != "answers" && one.imports().iter().any(|import| import.starts_with(&other.module));
        assert!(!knows || other.module[2] == "user", "{} must not know {}", one.path.display(), other.path.display());
    }
}

/// Which of these files name a library that belongs to another room.
fn strays(files: &[File]) -> Vec<String> {
    let stray = |file: &File, library: &str, home: &str| {
        let lives_there = file.module.iter().map(String::as_str).take(home.split('/').count()).eq(home.split('/'));
        !lives_there && names(&code(&file.text), library)
    };
    let all = files.iter().flat_map(|file| LIBRARIES.iter().map(move |(library, home)| (file, library, home)));
    let strays = all.filter(|(file, library, home)| stray(file, library, home));
    strays.map(|(file, library, home)| format!("{}: {library} belongs under {home}", file.path.display())).collect()
}

#[test]
fn every_library_stays_in_its_room() {
    assert_eq!(strays(&files()), Vec::<String>::new());
    for (library, home) in LIBRARIES {
        for (room, _) in ROOMS {
            let module = room.split('/').chain(["planted"]).map(str::to_owned).collect();
            let planted = File { module, path: PathBuf::from(room), text: format!("use {library}::Thing;") };
            let is_home = room == home || room.starts_with(&format!("{home}/"));
            assert_eq!(strays(&[planted]).is_empty(), is_home, "{library} in {room}");
        }
    }
}

/// What writes to the store, and which modules may name it.
const BESIDE_THE_GUARD: [(&str, &[&str]); 5] = [
    (".write(", &["app/core"]),
    (".write_without_deadline(", &["app/core"]),
    (".maintain(", &["app/maintenance", "app/sessions/sweep", "app/audit/retention", "app/undeclared"]),
    (".look_up(", &["app", "app/audit/read", "app/entry", "app/maintenance", "app/sessions"]),
    (".survey(", &["app/stats", "app/sessions/sweep", "app/audit/retention"]),
];

#[test]
fn every_change_goes_through_the_guarded_door() {
    for file in files().into_iter().filter(|file| file.module[0] == "app") {
        let (module, path, code) = (file.module.join("/"), file.path.display(), code(&file.text));
        for (name, allowed) in BESIDE_THE_GUARD {
            assert!(allowed.contains(&module.as_str()) || !code.contains(name), "{path}: {name} is beside the guard");
        }
        let knows_store = file.imports().iter().any(|import| *import == ["store", "Store"]);
        assert!(!knows_store || ["app", "app/core"].contains(&module.as_str()), "{path} reaches the store itself");
    }
}

#[test]
fn there_is_a_room_for_every_file() {
    for file in files() {
        let known = file.room().is_some() || ["main", "lib"].contains(&file.module[0].as_str());
        assert!(known, "{} lies in no room that tests/house.rs knows", file.path.display());
    }
}

#[test]
fn no_unsafe_code_and_nothing_unfinished() {
    for File { module, path, text } in files() {
        for word in ["unsafe {", "unsafe fn", "unsafe extern", "allow(unsafe_code", "todo!", "unimplemented!", "dbg!"] {
            let is_the_corner = module[0] == "heap" && ["unsafe extern", "allow(unsafe_code"].contains(&word);
            assert!(is_the_corner || !text.contains(word), "{}: {word}", path.display());
        }
    }
    for (root, lint) in [("lib.rs", "#![deny(unsafe_code)]"), ("main.rs", "#![forbid(unsafe_code)]")] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(root)).unwrap();
        assert!(text.contains(lint), "{root}");
    }
}

/// What a test says where it asks or changes the database itself, and not by name.
const OF_SQL: [&str; 9] =
    ["rusqlite", "SELECT ", "INSERT INTO", "DELETE FROM", "PRAGMA ", ".sql()", ".query(\"", ".probe(", ".connection()"];

/// How a text of a test reaches the database, if it does.
fn direct_sql(text: &str) -> Option<&'static str> {
    let updates = text.lines().any(|line| line.contains("UPDATE ") && line.contains(" SET "));
    OF_SQL.into_iter().find(|word| text.contains(word)).or(updates.then_some("UPDATE"))
}

#[test]
fn tests_of_what_is_seen_from_outside_hold_no_sql() {
    for subject in ["api", "http", "cli"] {
        let mut found = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(subject), &mut found);
        assert!(found.len() > 5, "{subject} is elsewhere now");
        for path in found {
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(direct_sql(&text), None, "{}: its place is tests/support/probes.rs", path.display());
        }
    }
    for planted in OF_SQL.into_iter().chain(["let sql = \"UPDATE users SET role = 'admin'\";"]) {
        assert!(direct_sql(planted).is_some(), "{planted}");
    }
}

#[test]
fn no_test_file_is_longer_than_600_lines() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), &mut found);
    for path in found {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 600, "{}: {lines} lines", path.display());
    }
}
