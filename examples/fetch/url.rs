//! The part of URL syntax that `fetch` needs.

use std::fmt;

const SCHEME: &str = "http://";

/// A URL of the scheme `http`.
#[derive(Debug)]
pub(crate) struct Url {
    text: String,
    /// The host and port, as they were given.
    pub(crate) authority: String,
    /// A name, or an address without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query.
    pub(crate) target: String,
}

impl Url {
    /// Parses a URL. An accepted URL can be sent as it is.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("only printable ASCII characters, the rest as %XX");
        }
        let is_http = text.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
        let rest = if is_http { &text[SCHEME.len()..] } else { return Err("not an http:// URL") };
        let rest = rest.split_once('#').map_or(rest, |(rest, _fragment)| rest);
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("user names are not supported");
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(address) => address.split_once(']').ok_or("']' is missing")?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        if host.is_empty() {
            return Err("the host is missing");
        }
        let port = match port {
            "" | ":" => 80,
            _ => port
                .strip_prefix(':')
                .and_then(|port| port.parse().ok())
                .ok_or("the port is not a number up to 65535")?,
        };
        Ok(Self {
            text: text.into(),
            authority: authority.into(),
            host: host.into(),
            port,
            target: if target.starts_with('/') { target.into() } else { format!("/{target}") },
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn urls_are_parsed() {
        let cases = [
            ("http://h", ("h", "h", 80, "/")),
            ("HTTP://h:81/a?b#c", ("h:81", "h", 81, "/a?b")),
            ("http://h:?q=/", ("h:", "h", 80, "/?q=/")),
            ("http://[::1]:8080/%20", ("[::1]:8080", "::1", 8080, "/%20")),
            ("http://[::1]", ("[::1]", "::1", 80, "/")),
        ];
        for (text, expected) in cases {
            let url = Url::parse(text).unwrap();
            assert_eq!((&*url.authority, &*url.host, url.port, &*url.target), expected, "{text}");
            assert_eq!(url.to_string(), text);
        }
    }

    #[test]
    fn malformed_urls_are_refused() {
        let cases = [
            ("https://h", "not an http:// URL"),
            ("h", "not an http:// URL"),
            ("http://", "the host is missing"),
            ("http://:80/", "the host is missing"),
            ("http://h:x/", "the port is not a number up to 65535"),
            ("http://h:65536/", "the port is not a number up to 65535"),
            ("http://[::1]80/", "the port is not a number up to 65535"),
            ("http://[::1/", "']' is missing"),
            ("http://me@h/", "user names are not supported"),
            ("http://h/a b", "only printable ASCII characters, the rest as %XX"),
            ("http://h/\r\nX: y", "only printable ASCII characters, the rest as %XX"),
            ("http://h/é", "only printable ASCII characters, the rest as %XX"),
        ];
        for (text, expected) in cases {
            assert_eq!(Url::parse(text).unwrap_err(), expected, "{text}");
        }
    }
}
