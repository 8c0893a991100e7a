//! Java's properties syntax (`java.util.Properties.load`), which `server.properties` is written in.
//!
//! A key ends at the first `=`, `:` or white space that no backslash precedes, and white space around that separator
//! is dropped. A line that ends in an odd number of backslashes goes on in the next one, whose leading white space
//! is dropped. `#` and `!` begin comments. `\t`, `\n`, `\r`, `\f` and `\uXXXX` are escapes; before any other
//! character a backslash is dropped.

use std::fmt;

/// One `key=value` of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    pub key: String,
    pub value: String,
    /// The line on which it begins, counted from 1.
    pub line: usize,
}

/// A `\u` that four hexadecimal digits don't follow, on the property that begins on this line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedEscape {
    pub line: usize,
}

impl fmt::Display for MalformedEscape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}: \\u must be followed by four hexadecimal digits",
            self.line
        )
    }
}

/// Reads every property of `text`, in order. A key may come more than once; the last one counts.
pub fn parse(text: &str) -> Result<Vec<Property>, MalformedEscape> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = text.split('\n').enumerate();
    let mut properties = Vec::new();
    while let Some((index, first)) = lines.next() {
        let first = first.trim_start_matches(is_blank);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let line = index + 1;
        let mut logical = first.to_owned();
        while goes_on(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next() else { break };
            logical.push_str(next.trim_start_matches(is_blank));
        }
        let (key, value) = split(&logical);
        let unescaped = |text| unescape(text).ok_or(MalformedEscape { line });
        properties.push(Property {
            key: unescaped(key)?,
            value: unescaped(value)?,
            line,
        });
    }
    Ok(properties)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0C')
}

/// True where the line ends in an odd number of backslashes.
fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The key and the value of a logical line, escapes still in them.
fn split(line: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let end = line.char_indices().find(|&(_, c)| {
        let ends = !is_escaped && (c == '=' || c == ':' || is_blank(c));
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    let Some((end, _)) = end else {
        return (line, "");
    };
    let rest = line[end..].trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], rest.trim_start_matches(is_blank))
}

/// `None` where a `\u` is malformed. Two `\u` may form one character outside the basic plane.
fn unescape(text: &str) -> Option<String> {
    if !text.contains('\\') {
        return Some(text.to_owned());
    }
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut buffer = [0; 2];
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let c = if c == '\\' {
            rest.next()
        } else {
            units.extend(c.encode_utf16(&mut buffer).iter());
            continue;
        };
        match c {
            Some('u') => {
                let digits: String = rest.by_ref().take(4).collect();
                let is_code =
                    digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                units.push(u16::from_str_radix(&digits, 16).ok().filter(|_| is_code)?);
            }
            Some('t') => units.push(u16::from(b'\t')),
            Some('n') => units.push(u16::from(b'\n')),
            Some('r') => units.push(u16::from(b'\r')),
            Some('f') => units.push(0x0C),
            Some(other) => units.extend(other.encode_utf16(&mut buffer).iter()),
            None => {}
        }
    }
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::{MalformedEscape, Property, parse};

    /// The key and value of every property, and where each begins.
    fn read(text: &str) -> Vec<(String, String, usize)> {
        let properties = parse(text).expect("no malformed escape");
        properties
            .into_iter()
            .map(|Property { key, value, line }| (key, value, line))
            .collect()
    }

    fn one(text: &str) -> (String, String) {
        let mut properties = read(text);
        assert_eq!(properties.len(), 1, "{text:?}");
        let (key, value, _) = properties.remove(0);
        (key, value)
    }

    #[test]
    fn separators_may_be_equals_colon_or_blanks() {
        let expected = ("a.b".to_owned(), "c d".to_owned());
        for text in [
            "a.b=c d",
            "a.b = c d",
            "a.b:c d",
            "a.b : c d",
            "a.b c d",
            "  a.b\t=\tc d",
            "a.b \t c d",
        ] {
            assert_eq!(one(text), expected, "{text:?}");
        }
        assert_eq!(one("a"), ("a".to_owned(), String::new()));
        assert_eq!(one("a=="), ("a".to_owned(), "=".to_owned()));
        assert_eq!(
            one("listeners=A://:1,B://:2"),
            ("listeners".to_owned(), "A://:1,B://:2".to_owned())
        );
        // White space at the end of a value stays.
        assert_eq!(one("a=b "), ("a".to_owned(), "b ".to_owned()));
    }

    #[test]
    fn comments_and_empty_lines_are_skipped_and_counted() {
        let text = "# one\n\n  ! two\nkey=value\r\nnext=1\rlast=2";
        let expected = [("key", "value", 4), ("next", "1", 5), ("last", "2", 6)];
        assert_eq!(
            read(text),
            expected.map(|(key, value, line)| (key.to_owned(), value.to_owned(), line))
        );
    }

    #[test]
    fn a_backslash_at_the_end_goes_on_in_the_next_line() {
        let text = "fruits = apple, \\\n    banana, \\\n\tpear\nnext=1\n";
        let expected = [("fruits", "apple, banana, pear", 1), ("next", "1", 4)];
        assert_eq!(
            read(text),
            expected.map(|(key, value, line)| (key.to_owned(), value.to_owned(), line))
        );
        // Two backslashes are one escaped backslash, not a line that goes on.
        assert_eq!(read("a=b\\\\\nc=d").len(), 2);
        // A comment sign in a continued line is text.
        assert_eq!(one("a=b\\\n#c"), ("a".to_owned(), "b#c".to_owned()));
        assert_eq!(one("a=b\\"), ("a".to_owned(), "b".to_owned()));
    }

    #[test]
    fn escapes_are_resolved_in_keys_and_values() {
        assert_eq!(one("a\\ b\\=c=d"), ("a b=c".to_owned(), "d".to_owned()));
        assert_eq!(
            one("a=\\ttab\\n\\u00e4\\q"),
            ("a".to_owned(), "\ttab\nä\u{71}".to_owned())
        );
        assert_eq!(one("a=\\ud83d\\ude00"), ("a".to_owned(), "😀".to_owned()));
        assert_eq!(parse("ok=1\nbad=\\u12"), Err(MalformedEscape { line: 2 }));
        assert_eq!(parse("bad=\\u+123"), Err(MalformedEscape { line: 1 }));
    }
}
