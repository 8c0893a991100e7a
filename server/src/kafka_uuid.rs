//! Kafka's way to write an id: 22 characters of base64 for URLs, without padding (`org.apache.kafka.common.Uuid`).

use uuid::Uuid;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A new random id. None begins with a dash, since people pass them on command lines.
pub fn random() -> Uuid {
    loop {
        let id = Uuid::new_v4();
        if !text(id).starts_with('-') {
            return id;
        }
    }
}

/// The id as Kafka writes it.
pub fn text(id: Uuid) -> String {
    let bits = id.as_u128();
    // 22 digits of 6 bits hold 132 bits: the last digit ends with four zeros.
    (0..22)
        .map(|digit| {
            let shift = 122 - 6 * digit;
            let index = if shift >= 0 {
                bits >> shift
            } else {
                bits << -shift
            };
            char::from(ALPHABET[(index & 0x3f) as usize])
        })
        .collect()
}

/// The id that a text stands for; none when it is not one.
pub fn parse(text: &str) -> Option<Uuid> {
    if text.len() != 22 {
        return None;
    }
    let digit = |c: u8| {
        ALPHABET
            .iter()
            .position(|letter| *letter == c)
            .map(|place| place as u128)
    };
    let (first, last) = text.as_bytes().split_at(21);
    let high = first
        .iter()
        .try_fold(0_u128, |bits, c| Some((bits << 6) | digit(*c)?))?;
    Some(Uuid::from_u128((high << 2) | (digit(last[0])? >> 4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_kafka_writes_them() {
        // The ids of Kafka's own constants (Uuid.ZERO_UUID, Uuid.ONE_UUID, METADATA_TOPIC_ID), and a round trip.
        assert_eq!(text(Uuid::nil()), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(text(Uuid::from_u128(1)), "AAAAAAAAAAAAAAAAAAAAAQ");
        let id = random();
        assert_eq!(parse(&text(id)), Some(id));
        assert_eq!(parse("too short"), None);
    }
}
