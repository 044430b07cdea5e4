//! A site to visit: a home page, twenty more in a tree below it, and a link that leads nowhere.

use std::io;
use std::time::Duration;

use greenthread::ctx::Context;

use crate::http::{self, Answer};
use crate::url::Url;

const PAGES: usize = 20;

/// Serves the site as long as the process lasts. Returns where it begins.
pub(crate) fn start() -> io::Result<Url> {
    let addr = http::serve(&Context::background(), page)?;
    Url::parse(&format!("http://{addr}/")).map_err(io::Error::other)
}

/// The home page is number 0. Three pages hang on each, as far as there are so many.
fn page(ctx: &Context, path: &str) -> Answer {
    let number = if path == "/" { "0" } else { &path[1..] };
    let Some(number) = number.parse().ok().filter(|number: &usize| *number <= PAGES) else {
        return Answer::new(404, "no such page");
    };
    // Every fifth page is slow. If the client goes away meanwhile, the server finds out later.
    if number % 5 == 4 {
        let _ = ctx.sleep(Duration::from_millis(30));
    }
    let below = (3 * number + 1..=3 * number + 3).filter(|below| *below <= PAGES).map(|below| below.to_string());
    let nowhere = (number == 6).then(|| "missing".to_owned());
    let links = below.chain(nowhere).map(|path| format!("<a href=\"{path}\">{path}</a>"));
    Answer::new(200, format!("<h1>{number}</h1> {} <a href=\"/\">home</a>", links.collect::<String>()))
}
