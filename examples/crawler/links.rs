//! The links in a page. A real crawler has an HTML parser; here, `href="..."` counts as a link
//! wherever it appears.

use crate::url::Url;

/// Returns the links of a page to its own server, in the order in which they appear on the page.
pub(crate) fn of(page: &Url, html: &str) -> Vec<Url> {
    let values = html.split("href=\"").skip(1).filter_map(|rest| rest.split_once('"'));
    values.filter_map(|(link, _)| resolve(page, &link.replace("&amp;", "&"))).collect()
}

/// Returns the URL of a link on this page, or `None` if it leads to another server.
fn resolve(page: &Url, link: &str) -> Option<Url> {
    let (path, query) = link.split_at(link.find(['?', '#']).unwrap_or(link.len()));
    let first = path.split_once('/').map_or(path, |(first, _)| first);
    let text = if first.contains(':') {
        link.to_owned()
    } else if path.starts_with("//") {
        format!("http:{link}")
    } else {
        let here = page.target.split_once('?').map_or(&*page.target, |(path, _query)| path);
        let folder = here.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = match path {
            "" => here.to_owned(),
            path if path.starts_with('/') => path.to_owned(),
            path => format!("{folder}/{path}"),
        };
        format!("http://{}{}{query}", page.authority, without_dots(&path))
    };
    Url::parse(&text).ok().filter(|url| url.authority == page.authority)
}

/// Normalizes a path: `/c` for `/a/../b/.././c`. Otherwise each page would have endlessly many
/// names.
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}
