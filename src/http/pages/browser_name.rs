//! What a `User-Agent` is called among people: "Firefox on Linux".
//!
//! Browsers name themselves beside those that they want to be taken for, so that the order of the tables decides. A client
//! can send whatever it likes: the words help owners to recognize their devices, and decide nothing.

/// What a browser's `User-Agent` contains, and what the browser is called. Those that claim to be another one come first.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("OPT/", "Opera"),
    ("OPX/", "Opera"),
    ("Opera", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("HuaweiBrowser/", "Huawei Browser"),
    ("MiuiBrowser/", "Mi Browser"),
    ("UCBrowser/", "UC Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("Silk/", "Silk"),
    ("GSA/", "the Google app"),
    ("SeaMonkey/", "SeaMonkey"),
    ("PaleMoon/", "Pale Moon"),
    ("Waterfox/", "Waterfox"),
    ("Focus/", "Firefox Focus"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("; wv)", "an app"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Headless Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Epiphany/", "GNOME Web"),
    ("Konqueror/", "Konqueror"),
    ("Trident/", "Internet Explorer"),
    ("MSIE ", "Internet Explorer"),
    ("Safari/", "Safari"),
    ("Mobile/", "an app"),
];

/// The same for what it runs on.
const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "an iPhone"),
    ("iPad", "an iPad"),
    ("iPod", "an iPod"),
    ("Tizen", "Tizen"),
    ("Web0S", "webOS"),
    ("KAIOS/", "KaiOS"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("NetBSD", "NetBSD"),
    ("Linux", "Linux"),
    ("X11", "Unix"),
];

/// The words. `None` where nothing of it is known.
pub fn browser_name(user_agent: &str) -> Option<String> {
    let of = |table: &[(&str, &'static str)]| {
        table.iter().find(|(part, _)| user_agent.contains(part)).map(|(_, name)| *name)
    };
    let words = match (of(BROWSERS), of(SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, Some(system)) => format!("a browser on {system}"),
        (None, None) => return None,
    };
    // It begins a line.
    Some(words[..1].to_uppercase() + &words[1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_called_as_people_call_them() {
        const GECKO: &str = "Gecko/20100101 Firefox/145.0";
        const WEBKIT: &str = "AppleWebKit/537.36 (KHTML, like Gecko)";
        let chrome =
            |system: &str, more: &str| format!("Mozilla/5.0 ({system}) {WEBKIT} Chrome/142.0.0.0 Safari/537.36{more}");
        let apple = |system: &str, more: &str| {
            format!("Mozilla/5.0 ({system}) AppleWebKit/605.1.15 (KHTML, like Gecko) {more}")
        };
        let (windows, mac) = ("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7");
        let (iphone, ipad) = ("iPhone; CPU iPhone OS 18_7 like Mac OS X", "iPad; CPU OS 18_7 like Mac OS X");
        for (user_agent, words) in [
            (format!("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) {GECKO}"), "Firefox on Linux"),
            (format!("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:145.0) {GECKO}"), "Firefox on Linux"),
            (format!("Mozilla/5.0 ({windows}; rv:145.0) {GECKO}"), "Firefox on Windows"),
            (format!("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) {GECKO}"), "Firefox on macOS"),
            ("Mozilla/5.0 (Android 16; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0".to_owned(), "Firefox on Android"),
            (apple(iphone, "FxiOS/145.0 Mobile/15E148 Safari/605.1.15"), "Firefox on an iPhone"),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0 SeaMonkey/2.53.21".to_owned(),
                "SeaMonkey on Linux",
            ),
            (format!("Mozilla/5.0 (X11; FreeBSD amd64; rv:145.0) {GECKO}"), "Firefox on FreeBSD"),
            (chrome("X11; Linux x86_64", ""), "Chrome on Linux"),
            (chrome(windows, ""), "Chrome on Windows"),
            (chrome(mac, ""), "Chrome on macOS"),
            (chrome("X11; CrOS x86_64 14541.0.0", ""), "Chrome on ChromeOS"),
            (
                format!("Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/142.0.0.0 Mobile Safari/537.36"),
                "Chrome on Android",
            ),
            (apple(iphone, "CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1"), "Chrome on an iPhone"),
            (
                format!("Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/142.0.0.0 Safari/537.36"),
                "Headless Chrome on Linux",
            ),
            (
                format!(
                    "Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Ubuntu Chromium/80.0.3987.87 Chrome/80.0.3987.87 Safari/537.36"
                ),
                "Chromium on Linux",
            ),
            (chrome(windows, " Edg/142.0.0.0"), "Edge on Windows"),
            (
                format!(
                    "Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/142.0.0.0 Mobile Safari/537.36 EdgA/142.0.0.0"
                ),
                "Edge on Android",
            ),
            (apple(ipad, "Version/18.0 EdgiOS/142.0.3595.66 Mobile/15E148 Safari/604.1"), "Edge on an iPad"),
            (chrome(windows, " OPR/124.0.0.0"), "Opera on Windows"),
            ("Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18".to_owned(), "Opera on Windows"),
            (chrome("X11; Linux x86_64", " Vivaldi/7.6.3797.63"), "Vivaldi on Linux"),
            (chrome(windows, " YaBrowser/25.10.0.0"), "Yandex Browser on Windows"),
            (
                format!(
                    "Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36"
                ),
                "Samsung Internet on Android",
            ),
            (
                format!(
                    "Mozilla/5.0 (Linux; Android 15; Pixel 9; wv) {WEBKIT} Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36"
                ),
                "An app on Android",
            ),
            (apple(mac, "Version/18.6 Safari/605.1.15"), "Safari on macOS"),
            (apple(iphone, "Version/18.6 Mobile/15E148 Safari/604.1"), "Safari on an iPhone"),
            (apple(ipad, "Version/18.6 Mobile/15E148 Safari/604.1"), "Safari on an iPad"),
            (apple(iphone, "Mobile/15E148"), "An app on an iPhone"),
            (apple(mac, "Version/18.6 Safari/605.1.15 Ddg/18.6"), "DuckDuckGo on macOS"),
            (apple("X11; Linux x86_64", "Version/18.0 Safari/605.1.15 Epiphany/605.1.15"), "GNOME Web on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko".to_owned(),
                "Internet Explorer on Windows",
            ),
            ("Mozilla/5.0 (X11; OpenBSD amd64) Something/1.0".to_owned(), "A browser on OpenBSD"),
        ] {
            assert_eq!(browser_name(&user_agent).as_deref(), Some(words), "{user_agent}");
        }
    }

    #[test]
    fn what_nobody_knows_has_no_name() {
        for user_agent in ["", "curl/8.14.1", "python-requests/2.32.5", "<script>", "\u{202e}xoferiF"] {
            assert_eq!(browser_name(user_agent), None, "{user_agent}");
        }
    }
}
