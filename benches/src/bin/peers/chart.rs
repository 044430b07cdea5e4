//! The results as bars: one chart for each subject of the table and number of workers.
//!
//! A bar begins at greenthread's median and ends at the peer's. A bar to the right means that the
//! peer takes more, and one to the left that it takes less. The scale is logarithmic, so twice and
//! half are equally far away. Such a scale has no zero, so the length of bars from the left edge
//! would have no meaning. The bars of a group are in the order of the legend, for readers who
//! cannot tell the colors apart.

use std::ops::Range;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::line::{Line, times};
use crate::peer::{GREENTHREAD, Missing, PEERS};
use crate::results::Results;
use crate::table::SUBJECTS;
use crate::text::{figure, ratio_text, workers_text};

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Error<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

/// The palette of Okabe and Ito, which can be told apart with any kind of color vision.
///
/// A peer keeps its color, whichever peers take part. Their yellow is left out, since it is hard to
/// see on white.
const COLORS: [RGBColor; 7] = [
    BLACK,
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
];
const GRAY: RGBColor = RGBColor(215, 215, 215);

/// In pixels.
///
/// GitHub shows a file about 900 wide.
const WIDTH: i32 = 900;
const BARS: Range<i32> = 270..WIDTH - 75;
/// The right edge of the rows' names.
///
/// A figure has room between them and the bars.
const NAMES_RIGHT: i32 = 200;
const BAR: i32 = 14;
const GAP: i32 = 16;
const TOP: i32 = 86;

/// One chart, a file of its own.
#[derive(Debug)]
pub(crate) struct Chart {
    subject: &'static str,
    pub(crate) workers: usize,
    pub(crate) svg: String,
}

impl Chart {
    /// Returns the charts of all subjects for which greenthread has a figure.
    pub(crate) fn all(results: &Results) -> Vec<Self> {
        let mut charts = Vec::new();
        for workers in results.workers() {
            for (subject, rows) in SUBJECTS {
                let is_of = |line: &Line| line.workers == workers && rows.iter().any(|row| row.name == line.row.name);
                let lines: Vec<&Line> = results.lines.iter().filter(|line| is_of(line)).collect();
                if lines.iter().any(|line| line.median(GREENTHREAD).is_some()) {
                    let mut chart = Self { subject, workers, svg: String::new() };
                    chart.svg = Picture::of(chart.title(), lines, results.names()).svg();
                    charts.push(chart);
                }
            }
        }
        charts
    }

    /// Returns the name of the file: the same in each run, so that a document can show it.
    pub(crate) fn file(&self) -> String {
        format!("{}_{}.svg", self.subject, self.workers)
    }

    pub(crate) fn title(&self) -> String {
        format!("{}, {}", self.subject, workers_text(self.workers))
    }
}

/// The contents of a chart.
#[derive(Debug)]
struct Picture<'a> {
    title: String,
    lines: Vec<&'a Line>,
    /// All except greenthread, which is the line where the bars begin.
    peers: Vec<&'static str>,
    scale: Scale,
}

impl<'a> Picture<'a> {
    fn of(title: String, lines: Vec<&'a Line>, mut peers: Vec<&'static str>) -> Self {
        peers.retain(|&peer| peer != GREENTHREAD);
        let ratios = lines.iter().flat_map(|line| peers.iter().filter_map(|peer| by_ours(line, peer)));
        let scale = Scale::of(ratios);
        Self { title, lines, peers, scale }
    }

    fn svg(&self) -> String {
        let height = TOP + self.lines.len() as i32 * self.group() + GAP;
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
        self.draw(&area, height).expect("drawing into a string cannot fail");
        drop(area);
        svg
    }

    fn group(&self) -> i32 {
        self.peers.len() as i32 * BAR + GAP
    }

    fn draw<'b>(&self, area: &Area<'b>, height: i32) -> Result<(), Error<'b>> {
        area.fill(&WHITE)?;
        self.draw_head(area)?;
        for &tick in &self.scale.ticks {
            let x = self.scale.x(tick);
            area.draw(&PathElement::new([(x, TOP - 4), (x, height - GAP)], GRAY))?;
            write(area, &tick.to_string(), (x, TOP - 12), HPos::Center, 14, BLACK)?;
        }
        for (n, line) in self.lines.iter().enumerate() {
            self.draw_row(area, line, TOP + GAP / 2 + n as i32 * self.group())?;
        }
        let one = self.scale.x(1.0);
        area.draw(&PathElement::new([(one, TOP - 4), (one, height - GAP)], BLACK.stroke_width(2)))
    }

    /// Draws the title and the legend.
    fn draw_head<'b>(&self, area: &Area<'b>) -> Result<(), Error<'b>> {
        write(area, &self.title, (10, 16), HPos::Left, 20, BLACK)?;
        let caption = "median divided by greenthread's, log scale: a bar to the right takes more, one to the left less";
        write(area, caption, (BARS.start, 16), HPos::Left, 14, BLACK)?;
        let step = (WIDTH - 20) / (self.peers.len() as i32 + 1);
        for (n, peer) in [GREENTHREAD].iter().chain(&self.peers).enumerate() {
            let x = 10 + n as i32 * step;
            area.draw(&Rectangle::new([(x, 36), (x + 12, 48)], color(peer).filled()))?;
            write(area, peer, (x + 17, 42), HPos::Left, 15, BLACK)?;
        }
        Ok(())
    }

    /// Draws one group of bars.
    fn draw_row<'b>(&self, area: &Area<'b>, line: &Line, top: i32) -> Result<(), Error<'b>> {
        let ours = match line.median(GREENTHREAD) {
            Some(median) => format!("{} {}", figure(median), line.row.unit),
            None => "no figure".to_owned(),
        };
        let middle = top + (self.peers.len() as i32 * BAR) / 2;
        write(area, line.row.name, (NAMES_RIGHT, middle - 8), HPos::Right, 15, BLACK)?;
        write(area, &format!("greenthread: {ours}"), (NAMES_RIGHT, middle + 8), HPos::Right, 13, BLACK)?;
        for (n, peer) in self.peers.iter().enumerate() {
            let y = top + n as i32 * BAR;
            let ratio = by_ours(line, peer);
            let from = self.scale.x(1.0);
            // This scale has no place for zero: such a bar is empty, and only its label shows the
            // zero.
            let to = ratio.filter(|&ratio| is_drawn(ratio)).map_or(from, |ratio| self.scale.x(ratio));
            area.draw(&Rectangle::new([(from.min(to), y + 1), (from.max(to), y + BAR - 1)], color(peer).filled()))?;
            let (x, side) = if to < from { (to - 4, HPos::Right) } else { (to + 5, HPos::Left) };
            let color = if ratio.is_some() { BLACK } else { RGBColor(110, 110, 110) };
            write(area, &label(line, peer), (x, y + BAR / 2), side, 13, color)?;
        }
        Ok(())
    }
}

/// The horizontal position of a ratio.
#[derive(Debug)]
struct Scale {
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl Scale {
    /// Returns a scale for all ratios that can be drawn, at least from a half to twice.
    fn of(ratios: impl Iterator<Item = f64>) -> Self {
        let (least, most) = ratios
            .filter(|&ratio| is_drawn(ratio))
            .fold((0.5_f64, 2.0_f64), |(least, most), ratio| (least.min(ratio), most.max(ratio)));
        let decades = least.log10().floor() as i32..=most.log10().ceil() as i32;
        // More steps would overlap.
        let steps: &[f64] = if most / least > 2000.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let all: Vec<f64> = decades.flat_map(|decade| steps.iter().map(move |step| power(*step, decade))).collect();
        let below = all.iter().copied().rfind(|&tick| tick <= least).unwrap_or(least);
        let above = all.iter().copied().find(|&tick| tick >= most).unwrap_or(most);
        Self { range: below..above, ticks: all.into_iter().filter(|tick| (below..=above).contains(tick)).collect() }
    }

    fn x(&self, ratio: f64) -> i32 {
        let share = (ratio / self.range.start).ln() / (self.range.end / self.range.start).ln();
        BARS.start + (share * f64::from(BARS.end - BARS.start)).round() as i32
    }
}

/// Returns `step` times a power of ten, without the rounding errors of a multiplication by a tenth.
fn power(step: f64, decade: i32) -> f64 {
    if decade < 0 { step / 10_f64.powi(-decade) } else { step * 10_f64.powi(decade) }
}

/// Returns a peer's median divided by ours.
fn by_ours(line: &Line, peer: &str) -> Option<f64> {
    Some(times(line.median(peer)?, line.median(GREENTHREAD)?))
}

/// Returns the text at the end of a bar.
fn label(line: &Line, peer: &str) -> String {
    match by_ours(line, peer) {
        Some(ratio) if line.row.is_floor(peer) => format!("{} (floor)", ratio_text(ratio)),
        Some(ratio) => ratio_text(ratio),
        None if matches!(line.missing(peer), Some(Missing::Failed(_))) => "failed".to_owned(),
        None if line.median(peer).is_some() => "nothing to compare with".to_owned(),
        None => "no figure".to_owned(),
    }
}

fn is_drawn(ratio: f64) -> bool {
    ratio.is_finite() && ratio > 0.0
}

fn color(peer: &str) -> RGBColor {
    COLORS[PEERS.iter().position(|known| known.name == peer).expect("the name is that of a peer")]
}

fn write<'b>(
    area: &Area<'b>,
    text: &str,
    at: (i32, i32),
    side: HPos,
    size: i32,
    color: RGBColor,
) -> Result<(), Error<'b>> {
    let style = ("sans-serif", size).into_font().color(&color).pos(Pos::new(side, VPos::Center));
    area.draw_text(text, &style, at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Cell;
    use crate::line::tests::line;
    use crate::peer::{GO, MAY, THREADS, TOKIO};
    use crate::table::rows;

    fn results(ours: f64) -> Results {
        let row = |name| rows().find(|row| row.name == name).expect("the row is in the table");
        let mut ring = line(row("ring"), 2, &[(GREENTHREAD, ours), (GO, 30.0), (TOKIO, 5.0), (MAY, 0.0)]);
        ring.cells.insert(THREADS, Cell::Missing(Missing::Failed("status 1".to_owned())));
        let echo = line(row("echo_64c.p99"), 2, &[(GREENTHREAD, 4.0), (THREADS, 1.0)]);
        let select = line(row("select2_unbuf"), 2, &[(GO, 4.0)]);
        let lock = line(row("mutex_8"), 2, &[(GO, 4.0)]);
        let peers = PEERS.iter().map(|peer| (peer.name, String::new())).collect();
        Results { facts: Vec::new(), peers, lines: vec![ring, select, echo, lock] }
    }

    /// Returns the texts in a picture, without the markup.
    fn words(chart: &Chart) -> Vec<&str> {
        chart.svg.lines().filter(|line| !line.starts_with('<')).collect()
    }

    #[test]
    fn a_chart_has_every_row_peer_and_figure() {
        let charts = Chart::all(&results(10.0));
        let files: Vec<String> = charts.iter().map(Chart::file).collect();
        assert_eq!(files, ["channels_2.svg", "network_2.svg"], "no chart without a figure of ours");
        let words = words(&charts[0]);
        let drawn = ["channels, 2 workers", "ring", "greenthread: 10.0 ns/hop", "3.00", "0.50", "0.00", "failed"];
        for word in drawn.iter().chain(&["select2_unbuf", "greenthread: no figure", "nothing to compare with"]) {
            assert!(words.contains(word), "{word}: {words:?}");
        }
        for peer in &PEERS {
            assert!(words.contains(&peer.name), "{}: {words:?}", peer.name);
        }
        assert!(self::words(&charts[1]).contains(&"no figure"));
        assert!(self::words(&charts[1]).contains(&"0.25 (floor)"));
    }

    #[test]
    fn a_figure_divided_by_zero_is_infinite() {
        let charts = Chart::all(&results(0.0));
        let words = words(&charts[0]);
        assert_eq!(words.iter().filter(|word| **word == "∞").count(), 2, "{words:?}");
        assert!(words.contains(&"1.00"), "two zeros are equal: {words:?}");
    }

    #[test]
    fn a_scale_holds_its_ratios_and_puts_one_between_a_half_and_two() {
        let scale = Scale::of([0.3, 7.0, 0.0, f64::INFINITY].into_iter());
        assert_eq!(scale.ticks, [0.2, 0.5, 1.0, 2.0, 5.0, 10.0]);
        assert_eq!((scale.x(0.2), scale.x(10.0)), (BARS.start, BARS.end));
        assert_eq!(Scale::of([].into_iter()).ticks, [0.5, 1.0, 2.0]);
        assert_eq!(Scale::of([0.04, 3000.0].into_iter()).ticks, [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0]);
        let even = Scale::of([].into_iter());
        // Equal, except for the rounding to pixels.
        assert!(((even.x(1.0) - even.x(0.5)) - (even.x(2.0) - even.x(1.0))).abs() <= 1);
    }

    #[test]
    fn every_peer_has_a_color_of_its_own() {
        let colors: Vec<RGBColor> = PEERS.iter().map(|peer| color(peer.name)).collect();
        for (n, one) in colors.iter().enumerate() {
            assert!(!colors[..n].contains(one), "{one:?}");
        }
    }
}
