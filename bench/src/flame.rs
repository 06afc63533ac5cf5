//! `perf script` text in, one static SVG out: a frame's width is its share of the samples, callers
//! below their callees, the full name on hover. Also prints the shares by what the work is for.
//! Never needs a script in the picture, so that it shows wherever a picture does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;

/// Width of the picture and height of a frame, pixels.
const WIDTH: f64 = 1200.0;
const ROW: f64 = 16.0;
/// Frames narrower than this share of all samples are left out.
const SHARE_MIN: f64 = 0.0025;
/// Height of the title, pixels.
const TOP: f64 = 40.0;

/// What to draw and where.
#[derive(Args)]
pub struct Options {
    /// Output of `perf script`
    script: PathBuf,
    /// The picture
    svg: PathBuf,
    /// Said at the top
    #[arg(long, default_value = "flame graph")]
    title: String,
}

/// A part of a name and what the work is for. The innermost frame that has one decides, so system
/// calls and allocations count for whoever asked.
const PURPOSES: [(&str, &str); 35] = [
    ("sqlx", "PostgreSQL driver"),
    ("redis::", "Redis driver"),
    ("combine::", "Redis driver"),
    ("tracing", "log lines"),
    ("runtime::clock", "clock"),
    ("aes_gcm", "sealing and hashing"),
    ("aes::", "sealing and hashing"),
    ("ghash", "sealing and hashing"),
    ("polyval", "sealing and hashing"),
    ("cipher::", "sealing and hashing"),
    ("ctr::", "sealing and hashing"),
    ("hmac", "sealing and hashing"),
    ("sha2", "sealing and hashing"),
    ("digest", "sealing and hashing"),
    ("rand::", "sealing and hashing"),
    ("runtime::ids", "sealing and hashing"),
    ("store::pii", "sealing and hashing"),
    ("serde_urlencoded", "form"),
    ("form_urlencoded", "form"),
    ("postcard", "session record"),
    ("backend::ussd::session", "session record"),
    ("backend::ussd::callers", "PostgreSQL driver"),
    ("runtime::redis", "Redis driver"),
    ("domain::", "the conversation itself"),
    ("store::", "the store"),
    ("prometheus", "metrics"),
    ("governor", "ceilings"),
    ("backend::limits", "ceilings"),
    ("backend::record", "request id and record"),
    ("backend::ussd", "USSD handler"),
    ("hyper", "HTTP"),
    ("axum", "HTTP"),
    ("tower", "HTTP"),
    ("matchit", "HTTP"),
    ("http::", "HTTP"),
];

/// A frame of every system call.
const SYSTEM_CALL: &str = "do_syscall";
/// Receiving requests and sending answers is mostly the kernel's work, and every server's.
const HTTP: (&str, &str) = ("HTTP", "HTTP: the kernel's sending and receiving");

/// The runtime is in every stack, between a system call and whoever asked for it: it counts only
/// where nobody else is.
const RUNTIME: (&str, &str) = ("tokio", "async runtime");

/// Reads, draws, prints.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let stacks = read(&std::fs::read_to_string(&options.script)?);
    ensure!(!stacks.is_empty(), "perf recorded no stack");
    let mut root = Node::default();
    let mut purposes: BTreeMap<&str, u64> = BTreeMap::new();
    for stack in &stacks {
        root.add(stack);
        *purposes.entry(purpose(stack)).or_default() += 1;
    }
    std::fs::write(&options.svg, draw(&root, &options.title))?;
    let mut shares: Vec<(&str, f64)> = purposes
        .into_iter()
        .map(|(name, count)| (name, count as f64 / stacks.len() as f64))
        .collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    println!(
        "{}",
        serde_json::json!({ "samples": stacks.len(), "shares": shares })
    );
    Ok(())
}

/// The stacks, outermost frame first.
fn read(script: &str) -> Vec<Vec<String>> {
    let mut stacks = Vec::new();
    let mut stack: Vec<String> = Vec::new();
    for line in script.lines().chain([""]) {
        if line.trim().is_empty() {
            if !stack.is_empty() {
                stack.reverse();
                stacks.push(std::mem::take(&mut stack));
            }
        } else if line.starts_with([' ', '\t'])
            && let Some((address, rest)) = line.trim().split_once(' ')
            && address.bytes().all(|b| b.is_ascii_hexdigit())
        {
            let (symbol, object) = rest.rsplit_once(" (").unwrap_or((rest, ""));
            let symbol = symbol.rsplit_once("+0x").map_or(symbol, |(name, _)| name);
            stack.push(shortened(symbol, object.trim_end_matches(')')));
        }
    }
    stacks
}

/// A name a person can read: no hash, no generic arguments.
fn shortened(symbol: &str, object: &str) -> String {
    if symbol == "[unknown]" {
        let file = object.rsplit('/').next().unwrap_or(object);
        return format!("[{file}]");
    }
    let bare = match symbol.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 => name,
        _ => symbol,
    };
    // `<A as B>::f` is A's f; everything else in angle brackets is left out
    let bare = bare
        .strip_prefix('<')
        .map_or(bare.to_owned(), |rest| rest.replacen(" as ", "<", 1));
    let (mut out, mut depth) = (String::new(), 0_u32);
    let mut before = ' ';
    for c in bare.chars() {
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth = depth.saturating_sub(1),
            c if depth == 0 => out.push(c),
            _ => {}
        }
        before = c;
    }
    out.replace("::::", "::")
        .replace("{{closure}}", "{closure}")
}

fn purpose(stack: &[String]) -> &'static str {
    for frame in stack.iter().rev() {
        let found = PURPOSES.iter().find(|(part, _)| frame.contains(part));
        if let Some((_, name)) = found {
            let in_kernel = stack.iter().any(|frame| frame.contains(SYSTEM_CALL));
            return if *name == HTTP.0 && in_kernel {
                HTTP.1
            } else {
                name
            };
        }
    }
    if stack.iter().any(|frame| frame.contains(RUNTIME.0)) {
        return RUNTIME.1;
    }
    "kernel and others"
}

#[derive(Default)]
struct Node {
    count: u64,
    children: BTreeMap<String, Node>,
}

impl Node {
    fn add(&mut self, stack: &[String]) {
        self.count += 1;
        let mut at = self;
        for frame in stack {
            at = at.children.entry(frame.clone()).or_default();
            at.count += 1;
        }
    }

    fn depth(&self, least: u64) -> usize {
        let children = self.children.values().filter(|child| child.count >= least);
        1 + children.map(|child| child.depth(least)).max().unwrap_or(0)
    }
}

fn draw(root: &Node, title: &str) -> String {
    let least = (root.count as f64 * SHARE_MIN).ceil() as u64;
    let height = TOP + ROW * root.depth(least) as f64 + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"monospace\" font-size=\"11\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fffdf7\"/>\n\
         <text x=\"10\" y=\"22\" font-size=\"14\">{} ({} samples)</text>\n",
        escaped(title),
        root.count
    );
    frame(
        &mut svg,
        root,
        "all",
        0.0,
        height - 10.0 - ROW,
        least,
        root.count as f64,
    );
    svg.push_str("</svg>\n");
    svg
}

fn frame(svg: &mut String, node: &Node, name: &str, x: f64, y: f64, least: u64, all: f64) {
    let width = node.count as f64 / all * WIDTH;
    let share = node.count as f64 / all * 100.0;
    let _ = write!(
        svg,
        "<g><title>{} {share:.1}%</title><rect x=\"{x:.1}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"15\" fill=\"{}\"/>",
        escaped(name),
        (width - 0.4).max(0.3),
        colour(name)
    );
    let letters = (width / 6.7) as usize;
    if letters >= 4 {
        let short: String = last_parts(name, letters);
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.0}\">{}</text>",
            x + 2.0,
            y + 11.5,
            escaped(&short)
        );
    }
    svg.push_str("</g>\n");
    let mut at = x;
    for (name, child) in &node.children {
        if child.count >= least {
            frame(svg, child, name, at, y - ROW, least, all);
        }
        at += child.count as f64 / all * WIDTH;
    }
}

/// As much of the end of a name as fits, from a whole part on.
fn last_parts(name: &str, letters: usize) -> String {
    if name.len() <= letters {
        return name.to_owned();
    }
    let mut short = name;
    while short.len() > letters {
        match short.split_once("::") {
            Some((_, rest)) => short = rest,
            None => return short.chars().take(letters).collect(),
        }
    }
    short.to_owned()
}

/// The same name has the same colour; the product's own code is green, drivers blue, HTTP yellow.
fn colour(name: &str) -> String {
    let mut hash: u32 = 17;
    for byte in name.bytes() {
        hash = hash.wrapping_mul(31).wrapping_add(u32::from(byte));
    }
    let shade = hash % 14;
    let ours = ["backend", "domain", "store::", "runtime::"];
    let (hue, light) = if ours.iter().any(|part| name.contains(part)) {
        (105 + shade, 62 + shade / 2)
    } else if name.contains("sqlx") || name.contains("redis") {
        (205 + shade, 70 + shade / 2)
    } else if ["hyper", "axum", "tower", "http"]
        .iter()
        .any(|part| name.contains(part))
    {
        (42 + shade, 68 + shade / 2)
    } else {
        (15 + shade, 78 + shade / 2)
    };
    format!("hsl({hue},60%,{light}%)")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "\
backend 1 12.5:  1000 cpu-clock:
\t        7f0 __send+0x1d (/usr/lib/libc.so.6)
\t        7f1 <tokio::net::TcpStream as tokio::io::AsyncWrite>::poll_write+0x10 (/b/backend)
\t        7f2 redis::aio::connection::write::h0123456789abcdef+0x1 (/b/backend)
\t        7f3 tokio::runtime::run<core::pin::Pin<T>>+0x1 (/b/backend)

backend 1 12.6:  1000 cpu-clock:
\t        7f4 [unknown] (/usr/lib/libc.so.6)
\t        7f3 tokio::runtime::run<core::pin::Pin<T>>+0x1 (/b/backend)
";

    #[test]
    fn stacks_are_read_outermost_first_with_readable_names() {
        let stacks = read(SCRIPT);
        assert_eq!(
            stacks[0],
            [
                "tokio::runtime::run",
                "redis::aio::connection::write",
                "tokio::net::TcpStream::poll_write",
                "__send"
            ]
        );
        assert_eq!(stacks[1], ["tokio::runtime::run", "[libc.so.6]"]);
        assert_eq!(purpose(&stacks[1]), "async runtime");
    }

    #[test]
    fn a_system_call_counts_for_whoever_asked() {
        let stack = [
            "hyper::poll",
            "sqlx_postgres::flush",
            "tokio::poll_write",
            "__send",
        ];
        let stack = stack.map(str::to_owned);
        assert_eq!(purpose(&stack), "PostgreSQL driver");
    }

    #[test]
    fn what_the_kernel_does_for_http_is_told_apart() {
        let stack = ["hyper::poll", "__send", "do_syscall_64", "tcp_sendmsg"];
        assert_eq!(purpose(&stack.map(str::to_owned)), HTTP.1);
        assert_eq!(purpose(&["hyper::poll".to_owned()]), HTTP.0);
    }

    #[test]
    fn the_picture_holds_every_wide_frame() {
        let mut root = Node::default();
        for stack in read(SCRIPT) {
            root.add(&stack);
        }
        let svg = draw(&root, "a & b");
        assert!(svg.contains("a &amp; b (2 samples)"));
        assert!(svg.contains("<title>tokio::runtime::run 100.0%</title>"));
        assert!(svg.contains("<title>redis::aio::connection::write 50.0%</title>"));
    }
}
