//! What a topic may be called (Kafka's `Topic` class).

use std::fmt;

pub const GROUP_METADATA_TOPIC_NAME: &str = "__consumer_offsets";
pub const TRANSACTION_STATE_TOPIC_NAME: &str = "__transaction_state";
pub const SHARE_GROUP_STATE_TOPIC_NAME: &str = "__share_group_state";
/// The metadata log. It is not a topic that clients can see.
pub const CLUSTER_METADATA_TOPIC_NAME: &str = "__cluster_metadata";

/// The longest name: a directory name of 255 bytes less the room for the partition index.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Whether a topic holds state of the brokers themselves.
pub fn is_internal(name: &str) -> bool {
    [
        GROUP_METADATA_TOPIC_NAME,
        TRANSACTION_STATE_TOPIC_NAME,
        SHARE_GROUP_STATE_TOPIC_NAME,
    ]
    .contains(&name)
}

/// Why a topic cannot have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IllegalName {
    Empty,
    /// "." or "..", which are directories already.
    Dots,
    TooLong,
    /// A character other than ASCII letters and digits, '.', '_' and '-'.
    Character,
}

impl fmt::Display for IllegalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "a topic name must not be empty"),
            Self::Dots => write!(f, "a topic cannot be named \".\" or \"..\""),
            Self::TooLong => write!(
                f,
                "a topic name has at most {TOPIC_NAME_BYTES_MAX} characters"
            ),
            Self::Character => write!(
                f,
                "a topic name consists of ASCII letters and digits, '.', '_' and '-'"
            ),
        }
    }
}

impl std::error::Error for IllegalName {}

/// Checks a name that a client wants to give to a topic.
pub fn check(name: &str) -> Result<(), IllegalName> {
    if name.is_empty() {
        return Err(IllegalName::Empty);
    }
    if name == "." || name == ".." {
        return Err(IllegalName::Dots);
    }
    if name.len() > TOPIC_NAME_BYTES_MAX {
        return Err(IllegalName::TooLong);
    }
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.bytes().all(is_legal) {
        Ok(())
    } else {
        Err(IllegalName::Character)
    }
}

/// The name under which colliding topics meet: metric names do not tell '.' from '_'. None when the name has neither.
pub fn unified(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows every rule at its edge, one name on each side.
    #[test]
    fn names_are_legal_up_to_249_ascii_characters() {
        let longest = "a".repeat(TOPIC_NAME_BYTES_MAX);
        for legal in [
            "a",
            "A-z_0.9",
            "...",
            "-",
            "_",
            longest.as_str(),
            GROUP_METADATA_TOPIC_NAME,
        ] {
            assert_eq!(check(legal), Ok(()), "{legal}");
        }
        let too_long = "a".repeat(TOPIC_NAME_BYTES_MAX + 1);
        let illegal = [
            ("", IllegalName::Empty),
            (".", IllegalName::Dots),
            ("..", IllegalName::Dots),
            (too_long.as_str(), IllegalName::TooLong),
            ("a b", IllegalName::Character),
            ("a/b", IllegalName::Character),
            ("a\0", IllegalName::Character),
            ("größe", IllegalName::Character),
        ];
        for (name, reason) in illegal {
            assert_eq!(check(name), Err(reason), "{name:?}");
        }
    }

    #[test]
    fn only_names_with_a_dot_or_an_underscore_can_collide() {
        assert_eq!(unified("plain-name"), None);
        assert_eq!(unified("a.b_c"), Some("a_b_c".to_owned()));
        assert_eq!(unified("a_b.c"), unified("a.b_c"));
    }

    #[test]
    fn the_metadata_log_is_not_an_internal_topic() {
        assert!(
            is_internal(GROUP_METADATA_TOPIC_NAME)
                && is_internal(TRANSACTION_STATE_TOPIC_NAME)
                && is_internal(SHARE_GROUP_STATE_TOPIC_NAME)
        );
        assert!(!is_internal(CLUSTER_METADATA_TOPIC_NAME));
        assert!(!is_internal("__consumer_offsets2"));
    }
}
