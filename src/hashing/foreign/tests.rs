//! Hashes of other services, whole and damaged.

use super::*;
use proptest::prelude::*;

fn fault(text: &str) -> Option<Unverifiable> {
    Foreign::parse(text).err()
}

fn verifies(text: &str, password: &str) -> bool {
    let foreign = Foreign::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    foreign.verify(&Password::attempt(password).unwrap()).expect("it can be found out")
}

const B64: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const BCRYPT: &str = "abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS";

#[test]
fn strings_in_phc_form_verify() {
    // Computed with Python's hashlib.
    for hash in [
        "$pbkdf2-sha1$i=1000,l=20$c2FsdHNhbHRzYWx0$bXetuqXv3xEiqmlwhuj1G8h56R4",
        "$pbkdf2-sha256$i=1000,l=32$c2FsdHNhbHRzYWx0$GacV8oEzUl3KM0Mwey9yrMcTPKpkL4jXrFpbKB8oOnI",
        "$pbkdf2-sha512$i=1000$c2FsdHNhbHRzYWx0$N/KIXnXzj/cNelUPFBl3qyb9OMzt+wseJWyiR7KpfVqe62fM2nrDg5bWYslNk0lF6TT63F8VEsxdLhYfVxBtew",
    ] {
        assert!(verifies(hash, "correct horse battery") && !verifies(hash, "correct horse batterY"), "{hash}");
        assert_eq!(Foreign::parse(hash).unwrap().scheme().library, None);
    }
}

#[test]
fn what_is_dearer_than_is_allowed_is_refused() {
    let too_expensive = |text: String| matches!(fault(&text), Some(Unverifiable::TooExpensive(_)));
    let hex = "0".repeat(128);
    for (allowed, refused) in [("04", "15"), ("14", "31"), ("14", "99")] {
        assert_eq!(fault(&format!("$2b${allowed}${BCRYPT}")), None);
        assert!(too_expensive(format!("$2b${refused}${BCRYPT}")));
    }
    for (allowed, refused) in [("1", "2000001"), ("2000000", "4294967297"), ("2000000", "9999999999")] {
        for form in [
            |i: &str| format!("pbkdf2_sha256${i}$salt${B64}="),
            |i: &str| format!("$pbkdf2-sha256${i}$c2FsdA${B64}"),
            |i: &str| format!("$pbkdf2-sha256$i={i},l=32$c2FsdA${B64}"),
            |i: &str| format!("pbkdf2:sha256:{i}$salt${}", "0".repeat(64)),
        ] {
            assert_eq!(fault(&form(allowed)), None);
            assert!(too_expensive(form(refused)));
        }
    }
    // N, r and p: memory alone, memory and lanes together, lanes alone, and what overflows when multiplied.
    for (n, r, p) in [(65536, 8, 2), (16384, 8, 5), (2, 262_144, 2), (1024, 8, 16)] {
        assert_eq!(fault(&format!("scrypt:{n}:{r}:{p}$salt${hex}")), None, "{n} {r} {p}");
    }
    for (n, r, p) in [
        (131_072_u64, 8_u64, 1_u64),
        (65536, 9, 1),
        (65536, 8, 3),
        (16384, 8, 9),
        (2, 524_288, 1),
        (2, 1, 17),
        (4_294_967_296, 4_294_967_296, 1),
        (2, 4_294_967_297, 4_294_967_297),
    ] {
        assert!(too_expensive(format!("scrypt:{n}:{r}:{p}$salt${hex}")), "{n} {r} {p}");
    }
    assert_eq!(fault(&format!("$scrypt$ln=16,r=8,p=1$c2FsdA${B64}")), None);
    for ln in [17, 33, 63] {
        assert!(too_expensive(format!("$scrypt$ln={ln},r=8,p=1$c2FsdA${B64}")), "{ln}");
    }
    assert_eq!(fault(&format!("$scrypt$ln=64,r=8,p=1$c2FsdA${B64}")), Some(Unverifiable::Damaged));
}

#[test]
fn what_is_not_whole_is_refused() {
    let hex = "0".repeat(64);
    let (long_salt, blank) = ("s".repeat(129), String::new());
    for damaged in [
        "$2b$".into(),
        format!("$2b$+9${BCRYPT}"),
        format!("$2b$9${BCRYPT}"),
        format!("$2b$03${BCRYPT}"),
        format!("$2b$12${}", &BCRYPT[1..]),
        format!("$2b$12${BCRYPT}a"),
        format!("$2b$12$é{}", &BCRYPT[2..]),
        format!("$2b$12$+{}", &BCRYPT[1..]),
        format!("bcrypt$2b$12${BCRYPT}"),
        format!("bcrypt$$2x$12${BCRYPT}"),
        format!("pbkdf2_sha256$0$salt${B64}="),
        format!("pbkdf2_sha256$01$salt${B64}="),
        format!("pbkdf2_sha256$+1$salt${B64}="),
        format!("pbkdf2_sha256$1$salt${B64}"),
        format!("pbkdf2_sha256$1$salt$AAAA{B64}="),
        format!("pbkdf2_sha256$1$${B64}="),
        format!("pbkdf2_sha256$1${long_salt}${B64}="),
        format!("pbkdf2_sha256$1$salt${B64}=$"),
        format!("pbkdf2_sha256${}$salt${B64}=", "1".repeat(1000)),
        format!("$pbkdf2-sha256$1$c2FsdA${}", &B64[4..]),
        format!("$pbkdf2-sha256$i=1,l=31$c2FsdA${B64}"),
        format!("$pbkdf2-sha256$i=1$c2FsdA${B64}{}", &B64[..43]),
        "$pbkdf2-sha256$i=1$c2FsdA$AAAA".into(),
        format!("pbkdf2:sha256:1$salt${}", &hex[1..]),
        format!("pbkdf2:sha256:1$salt${}g", &hex[1..]),
        format!("scrypt:1:8:1$salt${hex}{hex}"),
        format!("scrypt:3:8:1$salt${hex}{hex}"),
        format!("scrypt:1024:0:1$salt${hex}{hex}"),
        format!("scrypt:1024:8$salt${hex}{hex}"),
        format!("scrypt:1024:8:1$salt${hex}"),
        format!("$scrypt$ln=10,p=1,r=8$c2FsdA${B64}"),
        format!("$scrypt$ln=10,r=8,p=1$c2FsdA${B64}{B64}{B64}"),
        format!("scrypt$1024$salt$8$1${blank}"),
    ] {
        assert_eq!(fault(&damaged), Some(Unverifiable::Damaged), "{damaged}");
    }
    for unknown in [
        "",
        "plain",
        "$2x$12$",
        "$1$",
        "md5$salt$hash",
        "sha256$salt$hash",
        "pbkdf2:sha256$salt$hash",
        "!",
        "$5$",
        " $2b$",
    ] {
        assert_eq!(fault(unknown), Some(Unverifiable::Unknown), "{unknown}");
    }
}

#[test]
fn bits_of_bcrypts_last_characters_that_nobody_reads_may_be_set() {
    let hash = "$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS";
    assert!(verifies(hash, "correct horse battery"));
    for last in ['v', 'w', '0', '9'] {
        assert!(verifies(&hash.replace("rstuu", &format!("rstu{last}")), "correct horse battery"), "{last}");
    }
}

/// Texts that are nearly hashes.
fn nearly() -> impl Strategy<Value = String> {
    let begin = prop::sample::select(FORMS.iter().map(|(begin, ..)| *begin).collect::<Vec<_>>());
    let rest = prop_oneof![
        "\\PC{0,80}",
        "[$:=,lnrpi0-9a-f./+]{0,120}",
        "[0-9]{1,11}[$:][0-9a-zA-Z]{0,20}[$:][0-9a-zA-Z./+=]{0,90}",
        "[0-9]{1,10}(:[0-9]{1,10}){0,3}\\$[a-z]{1,9}\\$[0-9a-f]{128}",
        "[0-9]{2}\\$[./A-Za-z0-9]{53}",
    ];
    (begin, rest).prop_map(|(begin, rest)| format!("{begin}{rest}"))
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in prop_oneof![nearly(), "\\PC{0,200}".boxed()]) {
        if let Ok(foreign) = Foreign::parse(&text) {
            let bounded = match foreign.function {
                Function::Bcrypt { cost, .. } => BCRYPT_COSTS.contains(&cost),
                Function::Pbkdf2 { iterations, .. } => (1..=MAX_ITERATIONS).contains(&iterations),
                Function::Scrypt(params) => {
                    128 * u128::from(params.n()) * u128::from(params.r()) <= MAX_MEMORY && params.p() <= 16
                }
            };
            prop_assert!(bounded && SALT_LENGTHS.contains(&foreign.salt.len()) && foreign.output.len() <= 64);
        }
    }

    #[test]
    fn what_is_computed_has_the_length_that_is_stored(salt in "[a-zA-Z0-9]{1,30}", typed in "\\PC{1,40}") {
        let password = Password::attempt(&typed).unwrap();
        for text in [
            format!("pbkdf2:sha512:2${salt}${}", "0".repeat(128)),
            format!("scrypt:2:1:1${salt}${}", "0".repeat(128)),
            format!("pbkdf2_sha1$2${salt}${}A=", &B64[..26]),
            format!("$2a$04${BCRYPT}"),
        ] {
            prop_assert_eq!(Foreign::parse(&text).unwrap().verify(&password), Some(false));
        }
    }
}
