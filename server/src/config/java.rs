//! How Java reads and writes the text of values, where that differs from Rust.

/// `String.trim`: control characters and spaces go, other white space stays.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

/// Splits at commas and takes white space off the entries, as `ConfigDef` does for lists. Empty text is an empty
/// list; an empty entry between two commas stays.
pub fn split_list(text: &str) -> Vec<String> {
    let text = trim(text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',')
        .map(|entry| entry.trim_matches(is_space).to_owned())
        .collect()
}

/// `String.split`: empty parts at the end are dropped, but text without the separator stays whole, empty or not.
pub fn split(text: &str, separator: char) -> Vec<&str> {
    if !text.contains(separator) {
        return vec![text];
    }
    let mut parts: Vec<&str> = text.split(separator).collect();
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    parts
}

/// White space as Java's regular expressions know it (`\s`).
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0B' | '\x0C' | '\r')
}

/// `Double.parseDouble`, hexadecimal notation left out.
pub fn parse_double(text: &str) -> Option<f64> {
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    match number.trim_start_matches(['+', '-']) {
        "NaN" | "Infinity" => number.parse().ok(),
        // Rust also takes words like "inf", which Java does not.
        digits if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            number.parse().ok()
        }
        _ => None,
    }
}

/// `Double.toString`: at least one digit after the point, and an exponent below 10^-3 and from 10^7 on.
pub fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let scientific = format!("{value:e}");
    match scientific.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => format!("{digits}E{exponent}"),
        Some((digits, exponent)) => format!("{digits}.0E{exponent}"),
        None => scientific,
    }
}

/// Whether `text` is what `Duration.parse` takes, without a sign: `PnDTnHnMn.nS` with at least one part.
pub fn is_duration(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    let Some(rest) = upper.strip_prefix('P') else {
        return false;
    };
    let (days, time) = match rest.split_once('T') {
        Some((days, time)) => (days, Some(time)),
        None => (rest, None),
    };
    let days_fit = days.is_empty() || days.strip_suffix('D').is_some_and(is_digits);
    let time_fits = time.is_none_or(|time| !time.is_empty() && is_time(time));
    days_fit && time_fits && !(days.is_empty() && time.is_none())
}

/// Hours, minutes and seconds in this order, each at most once.
fn is_time(mut time: &str) -> bool {
    for unit in ['H', 'M', 'S'] {
        let Some((number, rest)) = time.split_once(unit) else {
            continue;
        };
        let whole = if unit == 'S' {
            number
                .split_once(['.', ','])
                .map_or(number, |(whole, _)| whole)
        } else {
            number
        };
        let fraction = &number[whole.len()..];
        let fraction_fits = fraction.is_empty()
            || fraction[1..].len() <= 9 && fraction[1..].bytes().all(|b| b.is_ascii_digit());
        if !is_digits(whole) || !fraction_fits {
            return false;
        }
        time = rest;
    }
    time.is_empty()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{double_text, is_duration, parse_double, split, split_list};

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        // The right-hand sides are what Double.toString prints.
        for (value, text) in [
            (0.5, "0.5"),
            (1.0, "1.0"),
            (0.001, "0.001"),
            (0.000_1, "1.0E-4"),
            (9_999_999.0, "9999999.0"),
            (10_000_000.0, "1.0E7"),
            (1.25e-9, "1.25E-9"),
            (f64::MAX, "1.7976931348623157E308"),
            (-0.0, "-0.0"),
        ] {
            assert_eq!(double_text(value), text);
        }
    }

    #[test]
    fn doubles_are_read_as_java_reads_them() {
        assert_eq!(parse_double("1e3"), Some(1000.0));
        assert_eq!(parse_double("0.5f"), Some(0.5));
        assert_eq!(parse_double("-.5"), Some(-0.5));
        assert_eq!(parse_double("inf"), None);
        assert_eq!(parse_double(""), None);
        assert!(parse_double("NaN").is_some_and(f64::is_nan));
    }

    #[test]
    fn lists_keep_empty_entries_but_not_white_space() {
        assert_eq!(split_list(" a ,\tb,,c "), ["a", "b", "", "c"]);
        assert!(split_list("  ").is_empty());
        assert_eq!(split_list(","), ["", ""]);
    }

    #[test]
    fn split_drops_what_is_empty_at_the_end() {
        assert_eq!(split("a,,b,,", ','), ["a", "", "b"]);
        assert_eq!(split("", ','), [""]);
        assert!(split(",", ',').is_empty());
    }

    #[test]
    fn durations_need_a_part_in_the_right_order() {
        for text in ["PT1H", "P1D", "pt0.5s", "P2DT3H4M5.25S", "PT10M"] {
            assert!(is_duration(text), "{text}");
        }
        for text in ["", "P", "PT", "1H", "PT1S2M", "P1H", "PT-1H", "PT1.S.2S"] {
            assert!(!is_duration(text), "{text}");
        }
    }
}
