//! The house keeps its order: imports point down only.

use std::path::{Path, PathBuf};

/// Each room with the rooms it may know, and libraries that belong to one room alone.
const ROOMS: [(&str, &[&str]); 9] = [
    ("domain", &[]),
    ("heap", &[]),
    ("config", &["domain", "hashing"]),
    ("clock", &["domain"]),
    ("hashing", &["domain"]),
    ("store", &["domain", "clock"]),
    ("app", &["domain", "clock", "hashing", "store"]),
    ("http", &["domain", "heap", "app"]),
    ("cli", &["domain", "clock", "hashing", "store", "app", "config", "http"]),
];
const LIBRARIES: [(&str, &str); 12] = [
    ("rusqlite", "store"),
    ("r2d2", "store"),
    ("r2d2_sqlite", "store"),
    ("rusqlite_migration", "store"),
    ("poem", "http"),
    ("poem_openapi", "http"),
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

/// Every source file with the room it lies in; `main` and `lib` lie in none.
fn rooms() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let room = |path: &Path| {
        let first = path.strip_prefix(&root).unwrap().iter().next().unwrap().to_str().unwrap();
        first.trim_end_matches(".rs").to_owned()
    };
    files.into_iter().map(|path| (room(&path), path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
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

/// The rooms that `code` takes anything from: as `crate::room`, or in a braced `use crate::{room…}`.
fn entered(code: &str) -> Vec<String> {
    let first_word =
        |path: &str| path.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut rooms = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            rooms.push(first_word(rest));
            continue;
        };
        let mut depth = 0;
        let mut top_level = String::new();
        for c in list.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                c if depth == 0 => top_level.push(c),
                _ => {}
            }
        }
        rooms.extend(top_level.split(',').map(first_word));
    }
    rooms
}

#[test]
fn imports_point_down_only() {
    for (room, path, text) in rooms() {
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else { continue };
        for other in entered(&code(&text)) {
            let foreign = ROOMS.iter().any(|(name, _)| *name == other) && other != room;
            assert!(!foreign || allowed.contains(&other.as_str()), "{} must not know {other}", path.display());
        }
    }
}

#[test]
fn every_library_stays_in_its_room() {
    for (room, path, text) in rooms() {
        for (library, home) in LIBRARIES.iter().filter(|(_, home)| *home != room) {
            assert!(!names(&code(&text), library), "{}: {library} belongs under {home}", path.display());
        }
    }
}

#[test]
fn there_is_a_room_for_every_file() {
    for (room, path, _) in rooms() {
        let known = ROOMS.iter().any(|(name, _)| *name == room) || ["main", "lib"].contains(&room.as_str());
        assert!(known, "{} lies in no room that tests/house.rs knows", path.display());
    }
}

#[test]
fn no_unsafe_code_and_nothing_unfinished() {
    for (room, path, text) in rooms() {
        for word in ["unsafe {", "unsafe fn", "unsafe extern", "allow(unsafe_code", "todo!", "unimplemented!", "dbg!"] {
            let is_the_corner = room == "heap" && ["unsafe extern", "allow(unsafe_code"].contains(&word);
            assert!(is_the_corner || !text.contains(word), "{}: {word}", path.display());
        }
    }
    for (root, lint) in [("lib.rs", "#![deny(unsafe_code)]"), ("main.rs", "#![forbid(unsafe_code)]")] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(root)).unwrap();
        assert!(text.contains(lint), "{root}");
    }
}
