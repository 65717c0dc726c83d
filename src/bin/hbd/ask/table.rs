//! Tables for people and for pipes: aligned columns that fit the terminal, or tabs between plain fields.

use heartbeat::text;
use heartbeat::time::render_duration;
use std::time::Duration;

/// How a table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Aligned, at most so many characters wide; columns drop from the right, the last is cut.
    Terminal { columns: usize },
    /// Tabs, everything, nothing cut: for `cut`, `awk` and eyes that scroll.
    Plain,
}

impl Layout {
    /// `columns` is what the user set (`COLUMNS`), else the terminal's width, else 80.
    pub fn new(is_terminal: bool, columns: Option<usize>, width: Option<usize>) -> Layout {
        if is_terminal {
            Layout::Terminal { columns: columns.or(width).unwrap_or(80).max(20) }
        } else {
            Layout::Plain
        }
    }
}

/// Narrowest that the last column may become before it is dropped.
const LAST_MIN: usize = 8;
const GAP: usize = 2;

/// Renders rows under their titles, one line each.
pub fn render(layout: Layout, titles: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| text::escape_control(cell).into_owned()).collect())
        .collect();
    match layout {
        Layout::Plain => {
            let title = titles.join("\t");
            let lines = rows.iter().map(|row| row.join("\t"));
            std::iter::once(title).chain(lines).map(|line| line + "\n").collect()
        }
        Layout::Terminal { columns } => aligned(columns, titles, &rows),
    }
}

fn aligned(columns: usize, titles: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = titles.iter().map(|t| t.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let shown = fit(columns, &mut widths);
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut out = String::new();
        for (cell, width) in cells.zip(&widths[..shown]) {
            let cut: String = cell.chars().take(*width).collect();
            out.push_str(&format!("{cut:<width$}{:GAP$}", "", width = *width));
        }
        out.trim_end().to_owned() + "\n"
    };
    let mut out = line(&mut titles.iter().copied());
    for row in rows {
        out.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    out
}

/// How many columns fit; the last of them is narrowed to what is left.
fn fit(columns: usize, widths: &mut [usize]) -> usize {
    let mut used = 0;
    for (i, width) in widths.iter_mut().enumerate() {
        let left = columns.saturating_sub(used);
        if *width > left {
            if left < LAST_MIN.min(*width) && i > 0 {
                return i;
            }
            *width = left.max(1);
            return i + 1;
        }
        used += *width + GAP;
    }
    widths.len()
}

/// How long ago, in two units; `-` for never.
pub fn ago(now: f64, then: Option<f64>) -> String {
    match then {
        Some(then) => render_duration(Duration::from_secs((now - then).max(0.0) as u64)),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn rows() -> Vec<Vec<String>> {
        [["down", "web-12.bsl", "8 heartbeats missed"], ["up", "db", "\x1b[31mred"]]
            .map(|row| row.map(str::to_owned).to_vec())
            .to_vec()
    }

    #[test]
    fn terminal_table_fits_its_width() {
        let titles = ["STATE", "HOST", "WHY"];
        let wide = render(Layout::Terminal { columns: 80 }, &titles, &rows());
        expect![[r#"
            STATE  HOST        WHY
            down   web-12.bsl  8 heartbeats missed
            up     db          \u{1b}[31mred
        "#]]
        .assert_eq(&wide);
        let narrow = render(Layout::Terminal { columns: 28 }, &titles, &rows());
        expect![[r#"
            STATE  HOST        WHY
            down   web-12.bsl  8 heartbe
            up     db          \u{1b}[31
        "#]]
        .assert_eq(&narrow);
        for columns in 20..60 {
            let table = render(Layout::Terminal { columns }, &titles, &rows());
            assert!(table.lines().all(|line| line.chars().count() <= columns), "{columns}");
        }
    }

    #[test]
    fn plain_table_has_tabs_and_everything() {
        let plain = render(Layout::Plain, &["STATE", "HOST", "WHY"], &rows());
        let want = "STATE\tHOST\tWHY\ndown\tweb-12.bsl\t8 heartbeats missed\n\
                    up\tdb\t\\u{1b}[31mred\n";
        assert_eq!(plain, want);
    }
}
