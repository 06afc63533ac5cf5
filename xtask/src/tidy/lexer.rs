//! Rust source taken apart into code, strings and comments, just well enough that a rule about code
//! is not tripped by a comment. Never needs a parser or a crate. Called by tidy's rules and sqlx.

/// A string literal or a comment and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Byte offset of its first character (for strings: of the text, after the quote).
    pub(crate) offset: usize,
    /// What it says, escapes not resolved.
    pub(crate) text: String,
}

/// A source file taken apart.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// The code, byte for byte where it was, strings' and comments' insides blanked.
    pub(crate) code: String,
    /// String literals in order.
    pub(crate) strings: Vec<Piece>,
    /// Comments in order, markers included.
    pub(crate) comments: Vec<Piece>,
}

struct Lexer<'a> {
    raw: &'a str,
    bytes: &'a [u8],
    at: usize,
    line: usize,
    code: Vec<u8>,
    source: Source,
}

impl Source {
    /// Takes a file apart.
    pub(crate) fn parse(raw: &str) -> Self {
        let mut lexer = Lexer {
            raw,
            bytes: raw.as_bytes(),
            at: 0,
            line: 1,
            code: Vec::with_capacity(raw.len()),
            source: Self::default(),
        };
        lexer.run();
        let mut source = lexer.source;
        source.code = String::from_utf8_lossy(&lexer.code).into_owned();
        source
    }

    /// The line of a byte offset in `code`.
    pub(crate) fn line_at(&self, offset: usize) -> usize {
        let before = self.code.get(..offset).unwrap_or_default();
        before.matches('\n').count() + 1
    }

    /// Offsets where `word` stands in the code by itself, not inside a longer name.
    pub(crate) fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let bytes = self.code.as_bytes();
        let is_name = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        };
        self.code.match_indices(word).filter_map(move |(at, _)| {
            let before = at.checked_sub(1).and_then(|at| bytes.get(at));
            let after = bytes.get(at + word.len());
            let last = word.as_bytes().last();
            // a word ending in `:` or `!` already ends a name
            let open_end = is_name(last) && is_name(after);
            (!is_name(before) && !open_end).then_some(at)
        })
    }

    /// Where the file's own test module begins, if it has one.
    pub(crate) fn tests_from(&self) -> Option<usize> {
        self.code.find("#[cfg(test)]")
    }
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Copies `count` bytes as code.
    fn keep(&mut self, count: usize) {
        for _ in 0..count {
            let byte = self.peek(0);
            if byte == b'\n' {
                self.line += 1;
            }
            if self.at < self.bytes.len() {
                self.code.push(byte);
            }
            self.at += 1;
        }
    }

    /// Blanks up to `end`, newlines kept.
    fn blank_to(&mut self, end: usize) {
        while self.at < end.min(self.bytes.len()) {
            let byte = self.peek(0);
            if byte == b'\n' {
                self.line += 1;
                self.code.push(b'\n');
            } else {
                self.code.push(b' ');
            }
            self.at += 1;
        }
    }

    fn piece(&self, from: usize, to: usize) -> Piece {
        Piece {
            line: self.line,
            offset: from,
            text: self
                .raw
                .get(from..to.min(self.raw.len()))
                .unwrap_or_default()
                .to_owned(),
        }
    }

    fn run(&mut self) {
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'/') => {
                    let end = self.find(b"\n", self.at);
                    self.comment(end);
                }
                (b'/', b'*') => {
                    let end = self.block_comment_end();
                    self.comment(end);
                }
                (b'"', _) => self.string(),
                (b'r', b'"' | b'#') if !self.inside_name() => self.raw_string(1),
                (b'b' | b'c', b'r')
                    if !self.inside_name() && matches!(self.peek(2), b'"' | b'#') =>
                {
                    self.raw_string(2);
                }
                (b'\'', _) => self.quote(),
                _ => self.keep(1),
            }
        }
    }

    fn inside_name(&self) -> bool {
        self.at
            .checked_sub(1)
            .and_then(|at| self.bytes.get(at))
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    }

    fn find(&self, needle: &[u8], from: usize) -> usize {
        self.bytes
            .get(from..)
            .and_then(|rest| rest.windows(needle.len()).position(|part| part == needle))
            .map_or(self.bytes.len(), |at| from + at)
    }

    fn comment(&mut self, end: usize) {
        let piece = self.piece(self.at, end);
        self.source.comments.push(piece);
        self.blank_to(end);
    }

    fn block_comment_end(&self) -> usize {
        let (mut at, mut depth) = (self.at, 0_usize);
        while at < self.bytes.len() {
            match self.bytes.get(at..at + 2) {
                Some(b"/*") => {
                    depth += 1;
                    at += 2;
                }
                Some(b"*/") => {
                    depth -= 1;
                    at += 2;
                    if depth == 0 {
                        return at;
                    }
                }
                _ => at += 1,
            }
        }
        at
    }

    fn string(&mut self) {
        self.keep(1);
        let mut end = self.at;
        while let Some(byte) = self.bytes.get(end) {
            match byte {
                b'\\' => end += 2,
                b'"' => break,
                _ => end += 1,
            }
        }
        let piece = self.piece(self.at, end);
        self.source.strings.push(piece);
        self.blank_to(end);
        self.keep(1);
    }

    fn raw_string(&mut self, prefix: usize) {
        let mut hashes = 0;
        while self.peek(prefix + hashes) == b'#' {
            hashes += 1;
        }
        if self.peek(prefix + hashes) != b'"' {
            // a raw identifier such as r#type
            self.keep(1);
            return;
        }
        self.keep(prefix + hashes + 1);
        let mut close = vec![b'"'];
        close.resize(hashes + 1, b'#');
        let end = self.find(&close, self.at);
        let piece = self.piece(self.at, end);
        self.source.strings.push(piece);
        self.blank_to(end);
        self.keep(close.len());
    }

    /// A character literal or a lifetime.
    fn quote(&mut self) {
        if self.peek(1) == b'\\' {
            let end = self.find(b"'", self.at + 3) + 1;
            self.keep(1);
            self.blank_to(end);
            return;
        }
        let rest = self.raw.get(self.at + 1..).unwrap_or_default();
        let width = rest.chars().next().map_or(0, char::len_utf8);
        if width > 0 && self.peek(1 + width) == b'\'' {
            self.keep(1);
            self.blank_to(self.at + width);
        }
        self.keep(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_are_taken_out_of_the_code() {
        let raw = "let a = \"lapin // \\\" x\"; // sqlx::query\n/* lapin /* nested */ */ let b = 'l';\nlet c = r#\"say \"now()\"\"#;\n";
        let source = Source::parse(raw);
        assert!(!source.code.contains("lapin") && !source.code.contains("sqlx"));
        assert_eq!(source.code.len(), raw.len());
        assert_eq!(source.strings.len(), 2);
        assert_eq!(source.strings[1].text, "say \"now()\"");
        assert_eq!((source.strings[1].line, source.comments.len()), (3, 2));
    }

    #[test]
    fn lifetimes_and_characters_are_told_apart() {
        let source =
            Source::parse("fn f<'a>(x: &'a str) { x.split('\"').map(|_| '\\'') } let lapin = 1;");
        assert_eq!(source.words("lapin").count(), 1);
        assert!(source.strings.is_empty());
    }

    #[test]
    fn a_word_inside_a_name_does_not_count() {
        let source = Source::parse("use my_lapin; lapins(); lapin::x; sqlx::test");
        assert_eq!(source.words("lapin").count(), 1);
        assert_eq!(source.words("sqlx::").count(), 1);
    }
}
