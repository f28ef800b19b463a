//! Password hashes of other services: bcrypt, PBKDF2 and scrypt, in the formats of Django, passlib and Werkzeug and as PHC
//! strings. They are only verified; new hashes are Argon2id.
//!
//! The cost of a hash is limited here, where it is parsed, so imports and verifications refuse the same ones.

use super::scheme::{Scheme, Unverifiable, same};
use crate::domain::Password;
use base64ct::{Base64, Base64Bcrypt, Base64Pbkdf2, Base64Unpadded, Encoding};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use std::{fmt::Write, ops::RangeInclusive};
use zeroize::Zeroizing;

const BCRYPT_COSTS: RangeInclusive<u32> = 4..=14;
const MAX_ITERATIONS: u32 = 2_000_000;
/// In bytes. scrypt needs 128 × N × r.
const MAX_MEMORY: u128 = 64 * 1024 * 1024;
/// In bytes: 128 × N × r × p, the memory that scrypt passes through. This allows every setting that OWASP calls
/// equivalent (Password Storage Cheat Sheet), if it fits into the memory.
const MAX_WORK: u128 = 2 * MAX_MEMORY;
const MAX_LANES: u64 = 16;

/// In bytes. None of these services stores longer ones.
const MAX_HASH_BYTES: usize = 1024;
const SALT_LENGTHS: RangeInclusive<usize> = 1..=128;
/// For PHC strings. Other formats have one length each.
const OUTPUT_LENGTHS: RangeInclusive<usize> = 16..=64;

/// bcrypt reads at most this many bytes of a password, including its terminating NUL (OpenBSD's `$2b$`, and every
/// implementation since).
const BCRYPT_MAX_BYTES: usize = 72;

/// A parsed hash.
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
        /// Django's way to avoid the limit of 72 bytes: it hashes the hexadecimal SHA-256 of the password.
        shortened: bool,
    },
    Pbkdf2 {
        prf: Prf,
        iterations: u32,
    },
    Scrypt(scrypt::Params),
}

/// The hash function of the HMAC in PBKDF2.
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

/// The prefix of each format, its scheme, and the parser of the rest. The first match counts.
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

const fn by(algorithm: &'static str, library: Option<&'static str>) -> Scheme {
    Scheme { algorithm, library }
}

impl Foreign {
    pub(super) fn parse(text: &str) -> Result<Self, Unverifiable> {
        let form = FORMS.iter().find_map(|(begin, scheme, read)| Some((scheme, read, text.strip_prefix(begin)?)));
        let (scheme, read, rest) = form.ok_or(Unverifiable::Unknown)?;
        if text.len() > MAX_HASH_BYTES {
            return Err(Unverifiable::Damaged);
        }
        let (function, salt, output) = read(rest)?;
        let whole = SALT_LENGTHS.contains(&salt.len()) && function.supports_output(output.len());
        whole.then_some(Self { scheme: *scheme, function, salt, output }).ok_or(Unverifiable::Damaged)
    }

    pub(super) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// `None` if the hash can't be verified.
    pub(super) fn verify(&self, password: &Password) -> Option<bool> {
        let output = self.function.compute(password.as_str().as_bytes(), &self.salt, self.output.len())?;
        same(&output, &self.output)
    }
}

impl Function {
    /// Whether the function can produce an output of this length. PBKDF2 repeats its work for each block of output, so
    /// only one block is allowed.
    fn supports_output(self, length: usize) -> bool {
        match self {
            Self::Bcrypt { .. } => length == BCRYPT_OUTPUT,
            Self::Pbkdf2 { prf, .. } => OUTPUT_LENGTHS.contains(&length) && length <= prf.length(),
            Self::Scrypt(_) => OUTPUT_LENGTHS.contains(&length),
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

/// bcrypt computes 24 bytes, but every format stores 23.
const BCRYPT_OUTPUT: usize = 23;

fn raw_bcrypt(cost: u32, salt: &[u8], password: &[u8]) -> Option<[u8; BCRYPT_OUTPUT]> {
    let mut key = Zeroizing::new([0u8; BCRYPT_MAX_BYTES]);
    let read = password.len().min(BCRYPT_MAX_BYTES);
    key[..read].copy_from_slice(&password[..read]);
    let computed = bcrypt::bcrypt(cost, salt.try_into().ok()?, &key[..(read + 1).min(BCRYPT_MAX_BYTES)]);
    computed.first_chunk().copied()
}

fn hexadecimal(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes any text");
    }
    text
}

/// `COST$SALT`, directly followed by the hash: 22 and 31 characters.
fn bcrypt(rest: &str, shortened: bool) -> Read {
    let [cost, encoded] = parts(rest, '$')?;
    let digits = cost.len() == 2 && cost.bytes().all(|b| b.is_ascii_digit());
    let cost = digits.then(|| cost.parse().ok()).flatten().ok_or(Unverifiable::Damaged)?;
    if encoded.len() != 53 || !encoded.is_ascii() {
        return Err(Unverifiable::Damaged);
    }
    if cost > *BCRYPT_COSTS.end() {
        return Err(Unverifiable::TooExpensive("a cost of 14 for bcrypt"));
    }
    let (salt, output) = encoded.split_at(22);
    let decoded =
        [clear_unused_bits(salt, 4), clear_unused_bits(output, 2)].map(|text| Base64Bcrypt::decode_vec(&text?).ok());
    match decoded {
        [Some(salt), Some(output)] if BCRYPT_COSTS.contains(&cost) => {
            Ok((Function::Bcrypt { cost, shortened }, salt, output))
        }
        _ => Err(Unverifiable::Damaged),
    }
}

/// The last character has more bits than needed. Some libraries set the unused bits, and every bcrypt ignores them.
fn clear_unused_bits(text: &str, bits: u32) -> Option<String> {
    const ALPHABET: &str = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let (start, last) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let value = ALPHABET.find(last)?;
    let last = ALPHABET.as_bytes()[value >> bits << bits];
    Some(format!("{start}{}", char::from(last)))
}

/// `$2b$` and so on, after Django's own name.
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

/// `ITERATIONS$SALT$HASH` in an alphabet with a dot where Base64 has a plus.
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
    let iterations = within.ok_or(Unverifiable::TooExpensive("2,000,000 iterations for PBKDF2"))?;
    Ok(Function::Pbkdf2 { prf, iterations })
}

fn scrypt(n: u64, r: &str, p: &str) -> Result<Function, Unverifiable> {
    let (r, p) = (number(r)?, number(p)?);
    if n < 2 || !n.is_power_of_two() {
        return Err(Unverifiable::Damaged);
    }
    let memory = 128 * u128::from(n) * u128::from(r);
    if memory > MAX_MEMORY || p > MAX_LANES || memory * u128::from(p) > MAX_WORK {
        return Err(Unverifiable::TooExpensive("64 MiB of memory for scrypt, and twice that with all of p"));
    }
    let (log_n, r, p) = (u8::try_from(n.ilog2()).ok(), u32::try_from(r).ok(), u32::try_from(p).ok());
    let params = log_n.zip(r).zip(p).and_then(|((log_n, r), p)| scrypt::Params::new(log_n, r, p).ok());
    params.map(Function::Scrypt).ok_or(Unverifiable::Damaged)
}

/// Splits text into exactly `N` parts.
fn parts<const N: usize>(text: &str, separator: char) -> Result<[&str; N], Unverifiable> {
    text.split(separator).collect::<Vec<_>>().try_into().map_err(|_| Unverifiable::Damaged)
}

/// At most ten digits, without leading zeros.
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
mod tests;
