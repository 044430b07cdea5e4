//! A site to visit: a home page, a tree of twenty more pages below it, and a dead link.

use std::io;
use std::time::Duration;

use greenthread::ctx::Context;

use crate::http::{self, Answer};
use crate::url::Url;

const PAGES: usize = 20;

/// Serves the site until the process ends, and returns its URL.
pub(crate) fn start() -> io::Result<Url> {
    let addr = http::serve(&Context::background(), page)?;
    Url::parse(&format!("http://{addr}/")).map_err(io::Error::other)
}

/// Returns the page with this number. The home page is number 0, and each page links to up to three
/// others.
fn page(ctx: &Context, path: &str) -> Answer {
    let number = if path == "/" { "0" } else { &path[1..] };
    let Some(number) = number.parse().ok().filter(|number: &usize| *number <= PAGES) else {
        return Answer::new(404, "no such page");
    };
    // Every fifth page is slow. If the client disconnects during the sleep, the server notices only
    // afterward.
    if number % 5 == 4 {
        let _ = ctx.sleep(Duration::from_millis(30));
    }
    let below = (3 * number + 1..=3 * number + 3).filter(|below| *below <= PAGES).map(|below| below.to_string());
    let nowhere = (number == 6).then(|| "missing".to_owned());
    let links = below.chain(nowhere).map(|path| format!("<a href=\"{path}\">{path}</a>"));
    Answer::new(200, format!("<h1>{number}</h1> {} <a href=\"/\">home</a>", links.collect::<String>()))
}
