//! Password hashes that other services leave behind: bcrypt, PBKDF2 and scrypt, in the forms of Django, passlib and
//! Werkzeug and as PHC strings. They are only ever verified; new hashes are Argon2id.
//!
//! What a hash may cost is bounded here, where it is read: an import and a verification refuse the same ones.

use super::{Scheme, Unverifiable};
use crate::domain::Password;
use base64ct::{Base64, Base64Bcrypt, Base64Pbkdf2, Base64Unpadded, Encoding};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use std::{fmt::Write, ops::RangeInclusive};
use zeroize::Zeroizing;

const BCRYPT_COSTS: RangeInclusive<u32> = 4..=14;
const MAX_ITERATIONS: u32 = 2_000_000;
/// In bytes, of which scrypt takes 128 × N × r.
const MAX_MEMORY: u128 = 64 * 1024 * 1024;
/// In bytes, too: how much memory scrypt goes through, 128 × N × r × p. Twice the above allows each of the settings
/// that OWASP calls equal (Password Storage Cheat Sheet), as far as they fit into memory.
const MAX_WORK: u128 = 2 * MAX_MEMORY;
const MAX_LANES: u64 = 16;

/// In bytes. Nothing longer comes from any of those services.
const MAX_TEXT: usize = 1024;
const SALTS: RangeInclusive<usize> = 1..=128;
/// Of PHC strings. Other forms have one length each.
const OUTPUTS: RangeInclusive<usize> = 16..=64;

/// bcrypt reads no more of a password than this, its closing NUL included (OpenBSD's `$2b$`, and everyone's since).
const BCRYPT_READS: usize = 72;

/// A hash, taken apart.
pub(super) struct Foreign {
    scheme: Scheme,
    function: Function,
    salt: Vec<u8>,
    output: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Function {
    Bcrypt {
        cost: u32,
        /// Django's way around the 72 bytes: what is hashed is the password's SHA-256 in hexadecimal.
        shortened: bool,
    },
    Pbkdf2 {
        prf: Prf,
        iterations: u32,
    },
    Scrypt(scrypt::Params),
}

/// With HMAC, what PBKDF2 is made of.
#[derive(Clone, Copy)]
enum Prf {
    Sha1,
    Sha256,
    Sha512,
}

impl Prf {
    fn length(self) -> usize {
        match self {
            Prf::Sha1 => 20,
            Prf::Sha256 => 32,
            Prf::Sha512 => 64,
        }
    }
}

type Read = Result<(Function, Vec<u8>, Vec<u8>), Unverifiable>;

type Reader = fn(&str) -> Read;

/// How a hash begins, whose it is, and what reads the rest. Of two that fit, the first one is meant.
const FORMS: &[(&str, Scheme, Reader)] = &[
    ("$2a$", by("bcrypt", None), |rest| bcrypt(rest, false)),
    ("$2b$", by("bcrypt", None), |rest| bcrypt(rest, false)),
    ("$2y$", by("bcrypt", None), |rest| bcrypt(rest, false)),
    ("bcrypt$", by("bcrypt", DJANGO), |rest| django_bcrypt(rest, false)),
    ("bcrypt_sha256$", by("bcrypt-sha256", DJANGO), |rest| django_bcrypt(rest, true)),
    ("pbkdf2_sha1$", by("pbkdf2-sha1", DJANGO), |rest| django_pbkdf2(rest, Prf::Sha1)),
    ("pbkdf2_sha256$", by("pbkdf2-sha256", DJANGO), |rest| django_pbkdf2(rest, Prf::Sha256)),
    ("scrypt$", by("scrypt", DJANGO), django_scrypt),
    ("$pbkdf2-sha1$i=", by("pbkdf2-sha1", None), |rest| phc_pbkdf2(rest, Prf::Sha1)),
    ("$pbkdf2-sha256$i=", by("pbkdf2-sha256", None), |rest| phc_pbkdf2(rest, Prf::Sha256)),
    ("$pbkdf2-sha512$i=", by("pbkdf2-sha512", None), |rest| phc_pbkdf2(rest, Prf::Sha512)),
    ("$pbkdf2$", by("pbkdf2-sha1", PASSLIB), |rest| passlib_pbkdf2(rest, Prf::Sha1)),
    ("$pbkdf2-sha256$", by("pbkdf2-sha256", PASSLIB), |rest| passlib_pbkdf2(rest, Prf::Sha256)),
    ("$pbkdf2-sha512$", by("pbkdf2-sha512", PASSLIB), |rest| passlib_pbkdf2(rest, Prf::Sha512)),
    ("$scrypt$ln=", by("scrypt", None), phc_scrypt),
    ("pbkdf2:sha1:", by("pbkdf2-sha1", WERKZEUG), |rest| werkzeug_pbkdf2(rest, Prf::Sha1)),
    ("pbkdf2:sha256:", by("pbkdf2-sha256", WERKZEUG), |rest| werkzeug_pbkdf2(rest, Prf::Sha256)),
    ("pbkdf2:sha512:", by("pbkdf2-sha512", WERKZEUG), |rest| werkzeug_pbkdf2(rest, Prf::Sha512)),
    ("scrypt:", by("scrypt", WERKZEUG), werkzeug_scrypt),
];

const DJANGO: Option<&str> = Some("Django");
const PASSLIB: Option<&str> = Some("passlib");
const WERKZEUG: Option<&str> = Some("Werkzeug");

const fn by(algorithm: &'static str, maker: Option<&'static str>) -> Scheme {
    Scheme { algorithm, maker }
}

impl Foreign {
    pub(super) fn parse(text: &str) -> Result<Self, Unverifiable> {
        let form = FORMS.iter().find_map(|(begin, scheme, read)| Some((scheme, read, text.strip_prefix(begin)?)));
        let (scheme, read, rest) = form.ok_or(Unverifiable::Unknown)?;
        if text.len() > MAX_TEXT {
            return Err(Unverifiable::Damaged);
        }
        let (function, salt, output) = read(rest)?;
        let whole = SALTS.contains(&salt.len()) && function.can_give(output.len());
        whole.then_some(Self { scheme: *scheme, function, salt, output }).ok_or(Unverifiable::Damaged)
    }

    pub(super) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// `None` where it can't be found out.
    pub(super) fn verify(&self, password: &Password) -> Option<bool> {
        let output = self.function.compute(password.as_str().as_bytes(), &self.salt, self.output.len())?;
        super::same(&output, &self.output)
    }
}

impl Function {
    /// Whether this makes outputs of so many bytes. PBKDF2 does its work once for every block of its digest, so there is
    /// one block at most.
    fn can_give(self, length: usize) -> bool {
        match self {
            Self::Bcrypt { .. } => length == BCRYPT_OUTPUT,
            Self::Pbkdf2 { prf, .. } => OUTPUTS.contains(&length) && length <= prf.length(),
            Self::Scrypt(_) => OUTPUTS.contains(&length),
        }
    }

    fn compute(self, password: &[u8], salt: &[u8], length: usize) -> Option<Vec<u8>> {
        let mut output = vec![0u8; length];
        match self {
            Self::Bcrypt { cost, shortened } => {
                let hex = shortened.then(|| hexadecimal(&Sha256::digest(password)));
                let key = hex.as_ref().map_or(password, |hex| hex.as_bytes());
                output.copy_from_slice(&raw_bcrypt(cost, salt, key)?);
            }
            Self::Pbkdf2 { prf, iterations } => {
                let derive = match prf {
                    Prf::Sha1 => pbkdf2_hmac::<Sha1>,
                    Prf::Sha256 => pbkdf2_hmac::<Sha256>,
                    Prf::Sha512 => pbkdf2_hmac::<Sha512>,
                };
                derive(password, salt, iterations, &mut output);
            }
            Self::Scrypt(params) => scrypt::scrypt(password, salt, &params, &mut output).ok()?,
        }
        Some(output)
    }
}

/// bcrypt computes 24 bytes, and all of its forms store 23.
const BCRYPT_OUTPUT: usize = 23;

fn raw_bcrypt(cost: u32, salt: &[u8], password: &[u8]) -> Option<[u8; BCRYPT_OUTPUT]> {
    let mut key = Zeroizing::new([0u8; BCRYPT_READS]);
    let read = password.len().min(BCRYPT_READS);
    key[..read].copy_from_slice(&password[..read]);
    let computed = bcrypt::bcrypt(cost, salt.try_into().ok()?, &key[..(read + 1).min(BCRYPT_READS)]);
    computed.first_chunk().copied()
}

fn hexadecimal(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes any text");
    }
    text
}

/// `COST$SALT` and the hash right behind: 22 and 31 characters.
fn bcrypt(rest: &str, shortened: bool) -> Read {
    let [cost, encoded] = parts(rest, '$')?;
    let digits = cost.len() == 2 && cost.bytes().all(|b| b.is_ascii_digit());
    let cost = digits.then(|| cost.parse().ok()).flatten().ok_or(Unverifiable::Damaged)?;
    if encoded.len() != 53 || !encoded.is_ascii() {
        return Err(Unverifiable::Damaged);
    }
    if cost > *BCRYPT_COSTS.end() {
        return Err(Unverifiable::TooExpensive("a cost of 14, bcrypt's most here"));
    }
    let (salt, output) = encoded.split_at(22);
    let decoded =
        [without_loose_bits(salt, 4), without_loose_bits(output, 2)].map(|text| Base64Bcrypt::decode_vec(&text?).ok());
    match decoded {
        [Some(salt), Some(output)] if BCRYPT_COSTS.contains(&cost) => {
            Ok((Function::Bcrypt { cost, shortened }, salt, output))
        }
        _ => Err(Unverifiable::Damaged),
    }
}

/// The last character says more than the bytes need. Some makers left those bits set, and nobody's bcrypt reads them.
fn without_loose_bits(text: &str, bits: u32) -> Option<String> {
    const ALPHABET: &str = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let (start, last) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let value = ALPHABET.find(last)?;
    let last = ALPHABET.as_bytes()[value >> bits << bits];
    Some(format!("{start}{}", char::from(last)))
}

/// `$2b$` and so on, behind the name that Django puts before it.
fn django_bcrypt(rest: &str, shortened: bool) -> Read {
    let versions = ["$2a$", "$2b$", "$2y$"];
    let rest = versions.iter().find_map(|version| rest.strip_prefix(version)).ok_or(Unverifiable::Damaged)?;
    bcrypt(rest, shortened)
}

/// `ITERATIONS$SALT$HASH`: the salt is text, the hash Base64.
fn django_pbkdf2(rest: &str, prf: Prf) -> Read {
    let [iterations, salt, output] = parts(rest, '$')?;
    let output = Base64::decode_vec(output).map_err(|_| Unverifiable::Damaged)?;
    Ok((pbkdf2(iterations, prf)?, salt.into(), of_length(output, prf.length())?))
}

/// `N$SALT$R$P$HASH`: the salt is text, the hash Base64.
fn django_scrypt(rest: &str) -> Read {
    let [n, salt, r, p, output] = parts(rest, '$')?;
    let output = Base64::decode_vec(output).map_err(|_| Unverifiable::Damaged)?;
    Ok((scrypt(number(n)?, r, p)?, salt.into(), of_length(output, 64)?))
}

/// `ITERATIONS$SALT$HASH` in an alphabet that has a dot where Base64 has a plus.
fn passlib_pbkdf2(rest: &str, prf: Prf) -> Read {
    let [iterations, salt, output] = parts(rest, '$')?;
    let decode = |text: &str| Base64Pbkdf2::decode_vec(&text.replace('+', ".")).map_err(|_| Unverifiable::Damaged);
    Ok((pbkdf2(iterations, prf)?, decode(salt)?, of_length(decode(output)?, prf.length())?))
}

/// `I[,l=L]$SALT$HASH`
fn phc_pbkdf2(rest: &str, prf: Prf) -> Read {
    let [params, salt, output] = parts(rest, '$')?;
    let (iterations, length) = params.split_once(",l=").map_or((params, None), |(i, l)| (i, Some(l)));
    let (salt, output) = (unpadded(salt)?, unpadded(output)?);
    if let Some(length) = length {
        of_length(&output, usize::try_from(number(length)?).map_err(|_| Unverifiable::Damaged)?)?;
    }
    Ok((pbkdf2(iterations, prf)?, salt, output))
}

/// `LN,r=R,p=P$SALT$HASH`, as passlib writes it, too.
fn phc_scrypt(rest: &str) -> Read {
    let [params, salt, output] = parts(rest, '$')?;
    let [ln, r, p] = parts(params, ',')?;
    let (r, p) = r.strip_prefix("r=").zip(p.strip_prefix("p=")).ok_or(Unverifiable::Damaged)?;
    let ln = u32::try_from(number(ln)?).map_err(|_| Unverifiable::Damaged)?;
    let n = 1u64.checked_shl(ln).ok_or(Unverifiable::Damaged)?;
    Ok((scrypt(n, r, p)?, unpadded(salt)?, unpadded(output)?))
}

/// `ITERATIONS$SALT$HASH`: the salt is text, the hash hexadecimal.
fn werkzeug_pbkdf2(rest: &str, prf: Prf) -> Read {
    let [iterations, salt, output] = parts(rest, '$')?;
    Ok((pbkdf2(iterations, prf)?, salt.into(), of_length(from_hexadecimal(output)?, prf.length())?))
}

/// `N:R:P$SALT$HASH`: the salt is text, the hash hexadecimal.
fn werkzeug_scrypt(rest: &str) -> Read {
    let [params, salt, output] = parts(rest, '$')?;
    let [n, r, p] = parts(params, ':')?;
    Ok((scrypt(number(n)?, r, p)?, salt.into(), of_length(from_hexadecimal(output)?, 64)?))
}

fn pbkdf2(iterations: &str, prf: Prf) -> Result<Function, Unverifiable> {
    let iterations = number(iterations)?;
    let within = u32::try_from(iterations).ok().filter(|iterations| *iterations <= MAX_ITERATIONS);
    let iterations = within.ok_or(Unverifiable::TooExpensive("2,000,000 iterations, PBKDF2's most here"))?;
    Ok(Function::Pbkdf2 { prf, iterations })
}

fn scrypt(n: u64, r: &str, p: &str) -> Result<Function, Unverifiable> {
    let (r, p) = (number(r)?, number(p)?);
    if n < 2 || !n.is_power_of_two() {
        return Err(Unverifiable::Damaged);
    }
    let memory = 128 * u128::from(n) * u128::from(r);
    if memory > MAX_MEMORY || p > MAX_LANES || memory * u128::from(p) > MAX_WORK {
        return Err(Unverifiable::TooExpensive("scrypt may here: 64 MiB of memory, and to go through twice as much"));
    }
    let (log_n, r, p) = (u8::try_from(n.ilog2()).ok(), u32::try_from(r).ok(), u32::try_from(p).ok());
    let params = log_n.zip(r).zip(p).and_then(|((log_n, r), p)| scrypt::Params::new(log_n, r, p).ok());
    params.map(Function::Scrypt).ok_or(Unverifiable::Damaged)
}

/// Exactly as many parts as are asked for.
fn parts<const N: usize>(text: &str, separator: char) -> Result<[&str; N], Unverifiable> {
    text.split(separator).collect::<Vec<_>>().try_into().map_err(|_| Unverifiable::Damaged)
}

/// Ten digits at most, the first of which is not a zero.
fn number(text: &str) -> Result<u64, Unverifiable> {
    let canonical =
        (1..=10).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    canonical.then(|| text.parse().ok()).flatten().ok_or(Unverifiable::Damaged)
}

fn of_length<T: AsRef<[u8]>>(output: T, length: usize) -> Result<T, Unverifiable> {
    if output.as_ref().len() == length { Ok(output) } else { Err(Unverifiable::Damaged) }
}

fn unpadded(text: &str) -> Result<Vec<u8>, Unverifiable> {
    Base64Unpadded::decode_vec(text).map_err(|_| Unverifiable::Damaged)
}

fn from_hexadecimal(text: &str) -> Result<Vec<u8>, Unverifiable> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect::<Option<_>>().ok_or(Unverifiable::Damaged)
}

#[cfg(test)]
mod tests {
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
            assert_eq!(Foreign::parse(hash).unwrap().scheme().maker, None);
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
                prop_assert!(bounded && SALTS.contains(&foreign.salt.len()) && foreign.output.len() <= 64);
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
}
