//! The page that shows every panel with what was answered: plain HTML beside its pictures, nothing
//! from elsewhere. Never hides an empty panel or one that was not asked. Called by `dashboards`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::draw::{Shown, in_unit, picture};
use super::{Answered, Looked, Verdict};

const STYLE: &str = "\
body{font:15px/1.4 system-ui,sans-serif;margin:0 auto;max-width:1480px;padding:1rem;color:#222}\
section{display:grid;grid-template-columns:repeat(auto-fill,minmax(440px,1fr));gap:1rem}\
figure{margin:0;border:1px solid #ccc;border-radius:4px;padding:.6rem;overflow:hidden}\
figure.empty{border-color:#b00020;border-width:3px}figure.cluster{background:#f3f3f3}\
figcaption{font-weight:600}img{width:100%;height:auto}b{float:right;font-size:1.3em}\
small{color:#555}code{font-size:11px;color:#555;overflow-wrap:anywhere;display:block}";

/// Removes what an earlier run drew.
pub(super) fn clear(home: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(home)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|ending| ending == "svg" || ending == "html")
        {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Draws the pictures and writes index.html into `home`.
pub(super) fn write(home: &Path, looked: &[Looked], closing: &str) -> anyhow::Result<()> {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Dashboards</title>\
         <style>{STYLE}</style><h1>Every panel, during a season</h1><p>{}</p>",
        escaped(closing)
    );
    for board in looked {
        let _ = write!(
            html,
            "<h2>{}</h2><p>{}</p><section>",
            escaped(&board.board.title),
            escaped(&board.board.description)
        );
        for answered in &board.panels {
            let _ = write!(html, "{}", figure(home, &board.board.name, answered)?);
        }
        html.push_str("</section>");
    }
    html.push_str("</html>\n");
    fs::write(home.join("index.html"), html)?;
    Ok(())
}

fn figure(home: &Path, board: &str, answered: &Answered<'_>) -> anyhow::Result<String> {
    let panel = answered.panel;
    let (class, words) = match answered.verdict {
        Verdict::Answered => ("answered", ""),
        Verdict::Zero => ("answered", "zero whenever it was measured"),
        Verdict::Cluster => ("cluster", "measured by a cluster only; not run here"),
        Verdict::Empty => ("empty", "EMPTY"),
    };
    let mut html = format!("<figure class=\"{class}\"><figcaption>");
    if let [only] = answered.lines.as_slice() {
        let _ = write!(
            html,
            "<b>{}</b>",
            escaped(&in_unit(only.last(), panel.unit()))
        );
    }
    let _ = write!(
        html,
        "{}</figcaption><small>{} {words}</small>",
        escaped(&panel.title),
        escaped(&panel.description)
    );
    if !answered.lines.is_empty() {
        let file = format!("{board}-{}.svg", panel.id);
        let svg = picture(&Shown {
            unit: panel.unit(),
            seconds: answered.seconds,
            lines: &answered.lines,
        })?;
        fs::write(home.join(&file), svg)?;
        let _ = write!(
            html,
            "<img src=\"{file}\" alt=\"{}\">",
            escaped(&panel.title)
        );
    }
    for query in &panel.queries {
        let _ = write!(html, "<code>{}</code>", escaped(&query.expr));
    }
    html.push_str("</figure>");
    Ok(html)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
