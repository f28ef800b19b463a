//! How values are parsed, and the messages for invalid ones.

use crate::domain::Origin;
use ipnet::{IpNet, Ipv4Net};
use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, str::FromStr, time::Duration};

/// A hundred years: longer spans would exceed the range of timestamps.
const MAX_SECONDS: u64 = 100 * 365 * 24 * 60 * 60;

/// A whole number and `s`, `m`, `h` or `d`, from 1s.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a whole number and s, m, h or d, such as 90s or 30d, from 1s to 36500d".to_owned();
    let unit = text.chars().next_back().ok_or_else(expected)?;
    let number = text.strip_suffix(unit).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let number: u64 = number.and_then(|digits| digits.parse().ok()).ok_or_else(expected)?;
    let scale = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(expected()),
    };
    let seconds = number.checked_mul(scale).filter(|seconds| (1..=MAX_SECONDS).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(expected)
}

/// As `duration` and `duration_or_zero` read it, in the largest unit that fits.
pub fn typed(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "m"), (1, "s")];
    match units.into_iter().find(|(scale, _)| seconds.is_multiple_of(*scale)) {
        Some((scale, unit)) if seconds > 0 => format!("{}{unit}", seconds / scale),
        _ => "0".to_owned(),
    }
}

/// As `duration`, and `0`.
pub fn duration_or_zero(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { duration(text).map_err(|expected| expected + ", or 0") }
}

/// A whole number within a range.
pub fn number<N: FromStr + PartialOrd + Display + Clone>(
    range: RangeInclusive<N>,
) -> impl Fn(&str) -> Result<N, String> + Clone {
    move |text| {
        let parsed = text.parse().ok().filter(|number| range.contains(number));
        parsed.ok_or_else(|| format!("expected a whole number from {} to {}", range.start(), range.end()))
    }
}

/// An IP address and a port.
pub fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080".to_owned())
}

/// What people and programs write for true and false.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => Err("expected true or false (or yes or no, on or off, 1 or 0)".to_owned()),
    }
}

/// `10.0.0.0/8`, or a single IP address.
pub fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse().map(|address: std::net::IpAddr| IpNet::from(address)))
        .map(canonical)
        .map_err(|_| "expected an IP address or a network in CIDR form, such as 127.0.0.1 or 10.0.0.0/8".to_owned())
}

/// Converts IPv4 networks that are written inside IPv6 to IPv4. The peers that are compared with them are converted, too.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(inner) = network else { return network };
    let (address, prefix) = (inner.addr().to_ipv4_mapped(), inner.prefix_len().checked_sub(96));
    let mapped = address.zip(prefix).and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    mapped.map_or(network, IpNet::V4)
}

/// An origin. Spaces around it are allowed, such as after a comma.
pub fn origin(text: &str) -> Result<Origin, String> {
    Origin::parse(text.trim()).map_err(Into::into)
}

/// The public URL: an origin, and the slash that a browser shows behind it.
pub fn public_url(text: &str) -> Result<Origin, String> {
    let text = text.trim();
    Origin::parse(text.strip_suffix('/').unwrap_or(text)).map_err(|fault| fault.replace("an origin", "a public URL"))
}

/// A name to show on pages.
pub fn instance_name(text: &str) -> Result<String, String> {
    let is_plain = !text.trim().is_empty() && !text.chars().any(char::is_control);
    let fits = is_plain && text.chars().count() <= 50;
    fits.then(|| text.to_owned()).ok_or_else(|| "expected 1 to 50 characters, without control characters".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, seconds) in [("1s", 1), ("90s", 90), ("15m", 900), ("2h", 7_200), ("30d", 2_592_000)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for bad in ["", "s", "0s", "5", "-1s", "+1s", "1.5h", "1w", "1 s", "99999999999999999999d", "36501d", "1µ"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
        assert_eq!(duration_or_zero("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn a_duration_is_written_as_it_is_read_in_the_largest_unit() {
        for (seconds, text) in [(0, "0"), (1, "1s"), (90, "90s"), (300, "5m"), (7_200, "2h"), (86_400, "1d")] {
            let span = Duration::from_secs(seconds);
            assert_eq!((typed(span).as_str(), duration_or_zero(text)), (text, Ok(span)));
        }
    }

    #[test]
    fn a_network_is_read_in_any_spelling_and_ipv4_inside_ipv6_is_ipv4() {
        for (text, read) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("::ffff:127.0.0.1", "127.0.0.1/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:0:0/95", "::ffff:0.0.0.0/95"),
            ("::1", "::1/128"),
            ("::127.0.0.1", "::7f00:1/128"),
        ] {
            assert_eq!(network(text).unwrap().to_string(), read, "{text}");
        }
        assert!(network("localhost").is_err() && network("10.0.0.0/33").is_err());
    }

    #[test]
    fn a_network_is_in_cidr_form_or_a_single_address() {
        assert_eq!(network("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(network("::1").unwrap().to_string(), "::1/128");
        assert!(network("localhost").is_err());
    }
}
