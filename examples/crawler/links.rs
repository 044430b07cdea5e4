//! Links in a page. A real crawler has a parser for HTML; here `href="..."` is a link, wherever it stands.

use crate::url::Url;

/// What a page links to on its own server, in the order in which it stands there.
pub(crate) fn of(page: &Url, html: &str) -> Vec<Url> {
    let values = html.split("href=\"").skip(1).filter_map(|rest| rest.split_once('"'));
    values.filter_map(|(link, _)| resolve(page, &link.replace("&amp;", "&"))).collect()
}

/// The URL that a link means on this page; none if that is elsewhere.
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

/// `/c` for `/a/../b/.././c`. Else there would be pages without end, each of them under many names.
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
