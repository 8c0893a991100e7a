//! The one thing that a broker reads of the consumer's embedded protocol: which topics a member wants.

/// The protocol type of consumers; all other types are opaque.
pub const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// The topics of a consumer's subscription, or none if the bytes are not one. Like Kafka's own
/// (`ClassicGroup.computeSubscribedTopics`), this reads version 0, of which every later version is an extension:
///
/// ```text
///   int16 version · int32 count · count x (int16 length · topic) · int32 length · user bytes · ...
/// ```
pub fn subscribed_topics(subscription: &[u8]) -> Option<Vec<String>> {
    let mut rest = subscription;
    let _version: [u8; 2] = take(&mut rest)?;
    let count = usize::try_from(i32::from_be_bytes(take(&mut rest)?)).ok()?;
    let mut topics = Vec::new();
    for _ in 0..count {
        let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let (topic, after) = rest.split_at_checked(length)?;
        topics.push(String::from_utf8_lossy(topic).into_owned());
        rest = after;
    }
    // A negative length is a null.
    let user_bytes = i32::from_be_bytes(take(&mut rest)?).max(0);
    rest.split_at_checked(usize::try_from(user_bytes).ok()?)?;
    Some(topics)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TWO_TOPICS: &[u8] = b"\0\x03\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff";

    /// A version 3 subscription with what comes after the user bytes cut off, and every prefix of it.
    #[test]
    fn topics_are_read_from_whole_subscriptions_only() {
        assert_eq!(
            subscribed_topics(TWO_TOPICS),
            Some(vec!["a".to_owned(), "bc".to_owned()])
        );
        for end in 0..TWO_TOPICS.len() {
            assert_eq!(
                subscribed_topics(&TWO_TOPICS[..end]),
                None,
                "prefix of {end} bytes"
            );
        }
    }

    proptest! {
        /// Members are free to send anything; it must never panic.
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = subscribed_topics(&bytes);
        }
    }
}
