//! `crawler [URL]`: visits all pages of a site, each once, and prints the status and depth of each.
//!
//! ```text
//!   pages of one depth ── goroutine: waits for the rate limiter before each page
//!            ^                 ├─ goroutine: gets a page, finds its links ─┐
//!            │                 ├─ ...                                      ├─> main: prints, and
//!            │                 └─ ...                                      ┘   keeps new pages
//!            └───────────────────── pages of the next depth ──────────────────────────┘
//! ```
//!
//! Two independent limits apply. The number of goroutines limits how many pages are fetched at
//! once. The rate limiter limits how many are fetched per second, however fast the server answers.
//! `map_ordered` keeps the order, so each run prints the same lines. The crawl proceeds depth by
//! depth, so the depth of a page is the length of the shortest path to it. When the context ends,
//! everything ends.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::io;
use std::mem;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use greenthread::ctx::Context;
use greenthread::patterns::{Pipeline, RateLimiter};
use greenthread::signal::{self, Signal};

mod args;
#[path = "../http/chunked.rs"]
mod chunked;
#[path = "../common/cli.rs"]
mod cli;
#[path = "../fetch/client.rs"]
mod client;
#[path = "../common/http.rs"]
mod http;
mod links;
mod site;
#[path = "../fetch/url.rs"]
mod url;

use args::Options;
use url::Url;

/// The time limit for one page.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The number of bytes of a page that are searched for links.
const MAX_PAGE: usize = 1 << 20;

struct Page {
    url: Url,
    status: io::Result<u16>,
    links: Vec<Url>,
}

#[greenthread::main]
fn main() -> ExitCode {
    cli::run("crawler", args::parse(), |options| {
        let (ctx, _cancel) = signal::notify_context(&Context::background(), &[Signal::SIGINT, Signal::SIGTERM]);
        let (ctx, _cancel) = ctx.with_timeout(options.timeout);
        crawl(&ctx, options)
    })
}

/// Prints a line for each page, and returns the exit status, which says whether every page gave an
/// answer. Returns an error if the crawl did not reach its end.
fn crawl(ctx: &Context, options: Options) -> io::Result<ExitCode> {
    let start = options.url.map_or_else(site::start, Ok)?;
    let limiter = Arc::new(RateLimiter::steady(options.period));
    let mut known = HashSet::from([start.target.clone()]);
    let mut next = vec![start];
    let mut all_answered = true;
    for depth in 0..=options.depth {
        let (limiter, pace_ctx, page_ctx) = (Arc::clone(&limiter), ctx.clone(), ctx.clone());
        let pages = Pipeline::new(ctx, mem::take(&mut next))
            .try_map(move |url| limiter.wait(&pace_ctx).map(|()| url))
            .map_ordered(options.concurrency, move |url| visit(&page_ctx, url));
        for Page { url, status, links } in &pages {
            match status {
                Ok(status) => cli::print(format!("{status} {depth} {}\n", url.target))?,
                Err(error) => {
                    all_answered = false;
                    cli::complain("crawler", &format_args!("{url}: {error}"));
                }
            }
            next.extend(links.into_iter().filter(|link| known.insert(link.target.clone())));
        }
        pages.wait().map_err(io::Error::other)?;
        if next.is_empty() {
            break;
        }
    }
    Ok(if all_answered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn visit(ctx: &Context, url: Url) -> Page {
    let (ctx, _cancel) = ctx.with_timeout(TIMEOUT);
    let mut html = Vec::new();
    let status = client::get(&ctx, &url, |data| {
        let room = MAX_PAGE - html.len();
        html.extend_from_slice(&data[..data.len().min(room)]);
    });
    let links = links::of(&url, &String::from_utf8_lossy(&html));
    Page { url, status, links }
}
