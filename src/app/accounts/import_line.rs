//! The lines of an import: each is a JSON object, read strictly, with every faulty field noted. No value is repeated.

use super::ImportLine;
use crate::domain::{
    DisplayName, EmailAddress, Faults, PasswordHash, Role, StrictObject, Timestamp, Username, plain_name,
};
use serde::de::DeserializeSeed;
use serde_json::{Map, Value};
use std::{
    borrow::Cow,
    io::{self, BufRead},
};

type Fault = Cow<'static, str>;

const FIELDS: [&str; 8] =
    ["username", "email", "display_name", "password_hash", "email_verified", "role", "disabled", "created_at"];

/// The maximum length of a line. No account needs more, and a file without line ends must not fill the memory.
const MAX_BYTES: usize = 16 * 1024;

impl ImportLine {
    /// The member in which an earlier import wrote why it refused the line. It is ignored.
    pub const REFUSED: &str = "refused";
    /// The member in which it kept the text of a line that was not an object, or that repeated a member.
    pub const LINE: &str = "line";

    /// Reads an uploaded file, but nothing behind the last faulty line that an answer lists: a fault takes far more
    /// memory than the few bytes that cause it.
    pub fn read_upload(file: impl BufRead) -> io::Result<Vec<Self>> {
        Self::read_all(file, false, Faults::MAX_LISTED).map(|(lines, _)| lines)
    }

    /// Reads all lines up to the last of `max_faulty` faulty ones, and their texts if `keep` is set. The text of a line
    /// that is too long is empty. Empty lines are skipped, and line numbers count them.
    pub fn read_all(mut file: impl BufRead, keep: bool, max_faulty: usize) -> io::Result<(Vec<Self>, Vec<Vec<u8>>)> {
        let (mut lines, mut texts, mut bytes, mut faulty) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for number in 1.. {
            if faulty >= max_faulty {
                break;
            }
            bytes.clear();
            // One more than fits shows whether it fits.
            let count = io::Read::take(&mut file, MAX_BYTES as u64 + 1).read_until(b'\n', &mut bytes)?;
            if count == 0 {
                break;
            }
            let line = if count > MAX_BYTES {
                if bytes.last() != Some(&b'\n') {
                    file.skip_until(b'\n')?;
                }
                bytes.clear();
                unreadable(number, "is longer than any account's")
            } else if bytes.trim_ascii().is_empty() {
                continue;
            } else {
                read(number, &bytes)
            };
            faulty += usize::from(!line.faults.is_empty());
            lines.push(line);
            texts.extend(keep.then(|| bytes.clone()));
        }
        Ok((lines, texts))
    }

    /// The members of a line that is one object without repeated members.
    pub fn members(bytes: &[u8]) -> Option<Map<String, Value>> {
        let mut faults = Faults::default();
        let members = object(std::str::from_utf8(bytes).ok()?, &mut faults).ok()?;
        faults.is_empty().then_some(members)
    }

    /// What is wrong with it, in one text.
    pub fn fault(&self) -> Option<String> {
        let faults: Vec<String> = self.faults.iter().map(|(field, fault)| format!("{field} {fault}")).collect();
        (!faults.is_empty()).then(|| faults.join("; "))
    }
}

/// Reads a line, with or without its line end.
fn read(number: u64, bytes: &[u8]) -> ImportLine {
    let Ok(text) = std::str::from_utf8(bytes) else { return unreadable(number, "is not text in UTF-8") };
    let mut line = ImportLine::new(number);
    let Ok(members) = object(text, &mut line.faults) else { return unreadable(number, "is not one JSON object") };
    if members.len() == 2 && members.contains_key(ImportLine::REFUSED) && members.contains_key(ImportLine::LINE) {
        line.faults.add("the line", "holds the text of a refused line; replace the object by the corrected one");
        return line;
    }
    let mut fields = Fields { members, faults: &mut line.faults };
    line.username = fields.required("username", |value| Username::parse(text_of(value)?));
    line.email = fields.required("email", |value| EmailAddress::parse(text_of(value)?));
    line.display_name = fields.optional("display_name", |value| DisplayName::parse(text_of(value)?));
    line.password_hash =
        fields.required("password_hash", |value| Ok(PasswordHash::from_text(text_of(value)?.to_owned())));
    line.email_verified = fields.optional("email_verified", truth_of).unwrap_or(line.email_verified);
    line.role = fields.optional("role", |value| Role::parse(text_of(value)?)).unwrap_or(line.role);
    line.disabled = fields.optional("disabled", truth_of).unwrap_or(line.disabled);
    line.created_at = fields.optional("created_at", |value| Timestamp::parse(text_of(value)?));
    fields.refuse_unknown();
    line
}

fn object(text: &str, faults: &mut Faults) -> serde_json::Result<Map<String, Value>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let members = StrictObject(faults).deserialize(&mut json)?;
    json.end().map(|()| members)
}

fn unreadable(number: u64, fault: &'static str) -> ImportLine {
    let mut line = ImportLine::new(number);
    line.faults.add("the line", fault);
    line
}

fn text_of(value: &Value) -> Result<&str, Fault> {
    value.as_str().ok_or_else(|| "must be a string".into())
}

fn truth_of(value: &Value) -> Result<bool, Fault> {
    value.as_bool().ok_or_else(|| "must be true or false".into())
}

struct Fields<'f> {
    members: Map<String, Value>,
    faults: &'f mut Faults,
}

impl Fields<'_> {
    fn required<T>(&mut self, name: &'static str, parse: impl FnOnce(&Value) -> Result<T, Fault>) -> Option<T> {
        if !self.members.contains_key(name) {
            self.faults.add(name, "is required");
        }
        self.optional(name, parse)
    }

    fn optional<T>(&mut self, name: &'static str, parse: impl FnOnce(&Value) -> Result<T, Fault>) -> Option<T> {
        let parsed = match self.members.get(name)? {
            Value::Null => Err("must not be null; leave it out instead".into()),
            value => parse(value),
        };
        self.faults.collect(name, parsed)
    }

    fn refuse_unknown(&mut self) {
        for name in self.members.keys().filter(|name| !FIELDS.contains(&name.as_str()) && *name != ImportLine::REFUSED)
        {
            self.faults.add(plain_name(name), "is not a field of an account");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WHOLE: &str = r#"{"username":"ada","email":"ada@example.com","password_hash":"$2b$…","email_verified":true,
        "role":"admin","disabled":true,"created_at":"2026-11-22T10:00:00Z","display_name":"Ada"}"#;

    fn faults(text: &str) -> String {
        let line = read(1, text.as_bytes());
        line.faults.iter().map(|(field, fault)| format!("{field} {fault}")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_field_is_read_and_some_may_be_left_out() {
        let line = read(7, WHOLE.as_bytes());
        assert!(line.faults.is_empty() && line.number == 7);
        let record = line.record().unwrap();
        assert_eq!((record.role, record.disabled, record.email_verified), (Role::Admin, true, true));
        assert_eq!(record.display_name.unwrap().as_str(), "Ada");
        assert_eq!(record.created_at.unwrap().to_string(), "2026-11-22T10:00:00Z");

        let least =
            read(1, b" {\"username\":\"ada\",\"email\":\"a@b\",\"password_hash\":\"x\"} \r\n").record().unwrap();
        assert_eq!(
            (least.role, least.disabled, least.email_verified, least.created_at),
            (Role::User, false, false, None)
        );
    }

    #[test]
    fn every_faulty_field_is_noted_and_no_value_repeated() {
        let found = faults(
            r#"{"username":"-s3cret","email":7,"password_hash":null,"role":"root","disabled":"no","created_at":1,"display_name":" s3cret",
                "email_verified":0,"is_staff":true,"s3cret value":1}"#,
        );
        let fields: Vec<&str> = found.lines().map(|line| line.split_once(' ').unwrap().0).collect();
        let expected = [
            "(unknown)",
            "created_at",
            "disabled",
            "display_name",
            "email",
            "email_verified",
            "is_staff",
            "password_hash",
            "role",
            "username",
        ];
        assert_eq!(fields, expected, "{found}");
        assert!(!found.contains("s3cret"), "{found}");
        assert!(read(1, b"{}").record().is_none());
        assert_eq!(faults("{}").lines().count(), 3);
        assert!(faults(&WHOLE.replace("\"disabled\"", "\"role\"")).contains("role must be given only once"));
    }

    #[test]
    fn what_is_no_object_is_refused_as_a_whole() {
        for text in ["", "[]", "null", "1", "{", "{}{}", "{} x", "\u{feff}{}", &"{\"a\":".repeat(200_000)] {
            assert_eq!(faults(text), "the line is not one JSON object", "{text:.20}");
        }
        assert!(read(1, b"{\"username\":\"\xff\"}").faults.contains("the line"));
    }

    #[test]
    fn of_an_upload_nothing_is_read_behind_the_last_fault_that_is_listed() {
        let valid = WHOLE.replace('\n', "") + "\n";
        let first = valid.repeat(2) + "\n" + &"x\n".repeat(19) + &"y".repeat(MAX_BYTES + 9) + "\n";
        let all = first.clone() + &"x\n".repeat(1_000) + &valid;

        let mut rest = all.as_bytes();
        let lines = ImportLine::read_upload(&mut rest).unwrap();
        let faulty = lines.iter().filter(|line| !line.faults.is_empty()).count();
        assert_eq!((lines.len(), faulty, lines[21].number), (22, Faults::MAX_LISTED, 23));
        assert_eq!(all.len() - rest.len(), first.len());

        let (lines, texts) = ImportLine::read_all(all.as_bytes(), true, usize::MAX).unwrap();
        assert_eq!((lines.len(), texts.len()), (1_023, 1_023));
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), name in "\\PC{0,9}", value in "\\PC{0,20}") {
            let _ = read(1, &bytes);
            let line = read(1, format!("{{{name:?}:{value:?},{value}}}").as_bytes());
            prop_assert!(line.record().is_none());
        }
    }
}
