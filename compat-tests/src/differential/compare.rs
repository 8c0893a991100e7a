//! Where two normalised answers differ.

use super::error_names::error_name;
use crate::schema::Value;

/// A field that the answers disagree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Field names from the message down, without array indices.
    pub path: String,
    pub left: String,
    pub right: String,
}

/// Answers with more differences than this differ in everything.
const DIFFERENCES_MAX: usize = 200;

/// Longest value shown in a difference.
const SHOWN_CHARACTERS: usize = 90;

/// All differences in the order of the fields. Behind an array of another length only common elements are compared.
pub fn differences(left: &Value, right: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", left, right, &mut found);
    found
}

fn compare(path: &str, left: &Value, right: &Value, found: &mut Vec<Difference>) {
    if found.len() >= DIFFERENCES_MAX {
        return;
    }
    match (left, right) {
        (Value::Object(left_fields), Value::Object(right_fields)) => {
            for (name, value) in left_fields {
                let path = joined(path, name);
                match right.field(name) {
                    Some(other) => compare(&path, value, other, found),
                    None => found.push(difference(&path, Some(value), None)),
                }
            }
            for (name, value) in right_fields {
                if left.field(name).is_none() {
                    found.push(difference(&joined(path, name), None, Some(value)));
                }
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            if left.len() != right.len() {
                found.push(Difference {
                    path: path.to_owned(),
                    left: format!("{} elements", left.len()),
                    right: format!("{} elements", right.len()),
                });
            }
            for (left, right) in left.iter().zip(right) {
                compare(path, left, right, found);
            }
        }
        (left, right) if left == right => {}
        (left, right) => found.push(difference(path, Some(left), Some(right))),
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() || name.starts_with('{') {
        format!("{path}{name}")
    } else {
        format!("{path}.{name}")
    }
}

fn difference(path: &str, left: Option<&Value>, right: Option<&Value>) -> Difference {
    let path = if path.is_empty() { "(answer)" } else { path };
    Difference {
        path: path.to_owned(),
        left: shown(path, left),
        right: shown(path, right),
    }
}

fn shown(path: &str, value: Option<&Value>) -> String {
    let text = match value {
        None => "(absent)".to_owned(),
        Some(Value::Integer(code)) if path.ends_with("rrorCode") => error_name(*code),
        Some(Value::Object(_)) if path == "(answer)" => "(a message)".to_owned(),
        Some(Value::Array(elements)) => format!("{} elements", elements.len()),
        Some(Value::Text(text)) => format!("{:?}", without_positions(text)),
        Some(value) => value.to_string(),
    };
    if text.chars().count() <= SHOWN_CHARACTERS {
        return text;
    }
    text.chars().take(SHOWN_CHARACTERS).chain(['…']).collect()
}

/// Replaced ids name the step in which they were first seen, which would keep equal differences apart.
fn without_positions(text: &str) -> String {
    let Some((before, rest)) = text.split_once('@') else {
        return text.to_owned();
    };
    match rest.split_once('>') {
        Some((_, after)) if before.contains('<') => format!("{before}>{after}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{array, object};

    #[test]
    fn differences_name_the_field_and_both_values() {
        let topic = |code: i64, id: &str| {
            object([(
                "topics",
                array([object([("errorCode", code.into()), ("id", id.into())])]),
            )])
        };
        assert_eq!(differences(&topic(3, "<a@1.0>"), &topic(3, "<a@1.0>")), []);
        assert_eq!(
            differences(&topic(3, "<a@1.0>"), &topic(0, "<a@2.0>")),
            [
                Difference {
                    path: "topics.errorCode".to_owned(),
                    left: "UNKNOWN_TOPIC_OR_PARTITION (3)".to_owned(),
                    right: "NONE (0)".to_owned(),
                },
                Difference {
                    path: "topics.id".to_owned(),
                    left: "\"<a>\"".to_owned(),
                    right: "\"<a>\"".to_owned(),
                },
            ]
        );
    }

    #[test]
    fn a_missing_answer_and_a_missing_element_are_differences() {
        let message = object([("topics", array([1, 2]))]);
        let closed = Value::from("<connection closed>");
        assert_eq!(differences(&message, &closed)[0].path, "(answer)");
        let shorter = object([("topics", array([1]))]);
        assert_eq!(
            differences(&message, &shorter),
            [Difference {
                path: "topics".to_owned(),
                left: "2 elements".to_owned(),
                right: "1 elements".to_owned(),
            }]
        );
    }
}
