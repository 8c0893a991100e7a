//! What records without a part in the image are about: enough of their fields to tell which later record replaces or
//! removes which earlier one. Types and fields are those of Kafka 4.3.1; the deltas of `org.apache.kafka.image` say
//! what they do to each other.

use super::wire::{Reader, RecordError};

/// Record types by Kafka's numbers.
mod key {
    pub(super) const DELEGATION_TOKEN: u16 = 10;
    pub(super) const USER_SCRAM_CREDENTIAL: u16 = 11;
    pub(super) const CLIENT_QUOTA: u16 = 14;
    pub(super) const ACCESS_CONTROL_ENTRY: u16 = 18;
    pub(super) const REMOVE_ACCESS_CONTROL_ENTRY: u16 = 19;
    pub(super) const REMOVE_USER_SCRAM_CREDENTIAL: u16 = 22;
    pub(super) const REMOVE_DELEGATION_TOKEN: u16 = 26;
}

/// The thing that a record sets. The order is the one in which a snapshot states them, which is Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// One quota of an entity: pairs of a type and a name, none being the default name, in the order of the types.
    ClientQuota {
        entity: Vec<(String, Option<String>)>,
        quota: String,
    },
    Acl([u8; 16]),
    ScramCredential {
        user: String,
        mechanism: i8,
    },
    DelegationToken(String),
}

/// What a record does to its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Set(Subject),
    Remove(Subject),
    /// Nothing is known of this type of record.
    Unknown,
}

/// Reads what a record is about.
///
/// # Errors
/// When a field that says so cannot be read.
pub fn effect(api_key: u16, body: &[u8]) -> Result<Effect, RecordError> {
    let mut input = Reader::new(body);
    let effect = match api_key {
        key::CLIENT_QUOTA => {
            let mut entity = input.list(|input| {
                let pair = (input.string()?, input.nullable_string()?);
                input.no_tags()?;
                Ok(pair)
            })?;
            entity.sort();
            let quota = input.string()?;
            let _value = input.int64()?;
            let subject = Subject::ClientQuota { entity, quota };
            if input.boolean()? {
                Effect::Remove(subject)
            } else {
                Effect::Set(subject)
            }
        }
        key::ACCESS_CONTROL_ENTRY => Effect::Set(acl(&mut input)?),
        key::REMOVE_ACCESS_CONTROL_ENTRY => Effect::Remove(acl(&mut input)?),
        key::USER_SCRAM_CREDENTIAL => Effect::Set(scram_credential(&mut input)?),
        key::REMOVE_USER_SCRAM_CREDENTIAL => Effect::Remove(scram_credential(&mut input)?),
        key::DELEGATION_TOKEN => {
            // Owner, requester, renewers and three times come before the id.
            input.string()?;
            input.string()?;
            input.list(Reader::string)?;
            for _ in 0..3 {
                input.int64()?;
            }
            Effect::Set(Subject::DelegationToken(input.string()?))
        }
        key::REMOVE_DELEGATION_TOKEN => Effect::Remove(Subject::DelegationToken(input.string()?)),
        _ => Effect::Unknown,
    };
    Ok(effect)
}

fn acl(input: &mut Reader<'_>) -> Result<Subject, RecordError> {
    Ok(Subject::Acl(input.uuid()?.into_bytes()))
}

fn scram_credential(input: &mut Reader<'_>) -> Result<Subject, RecordError> {
    Ok(Subject::ScramCredential {
        user: input.string()?,
        mechanism: input.int8()?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::wire::Writer;
    use super::*;

    fn quota(entity: &[(&str, Option<&str>)], name: &str, is_removed: bool) -> Vec<u8> {
        let mut out = Writer::default();
        out.list(entity, |out, (kind, name)| {
            out.string(kind);
            out.nullable_string(*name);
            out.no_tags();
        });
        out.string(name);
        out.bytes.extend(1024.0_f64.to_be_bytes());
        out.boolean(is_removed);
        out.no_tags();
        out.bytes
    }

    /// The entity of a quota is a set, and a default name differs from every other.
    #[test]
    fn a_quota_is_told_by_its_entity_and_its_name() {
        let set = effect(
            14,
            &quota(&[("user", Some("a")), ("client-id", None)], "x", false),
        );
        let Ok(Effect::Set(set)) = set else {
            panic!("{set:?}")
        };
        let swapped = quota(&[("client-id", None), ("user", Some("a"))], "x", true);
        assert_eq!(effect(14, &swapped), Ok(Effect::Remove(set.clone())));
        let named = quota(&[("client-id", Some("")), ("user", Some("a"))], "x", true);
        assert_ne!(effect(14, &named), Ok(Effect::Remove(set)));
    }

    #[test]
    fn removals_name_what_they_remove() {
        let acl = [7; 16];
        // The fields behind the id do not matter.
        assert_eq!(
            effect(18, &[&acl[..], &[2, 2, b't', 3]].concat()),
            Ok(Effect::Set(Subject::Acl(acl)))
        );
        assert_eq!(
            effect(19, &[&acl[..], &[0]].concat()),
            Ok(Effect::Remove(Subject::Acl(acl)))
        );
        let alice = Subject::ScramCredential {
            user: "a".to_owned(),
            mechanism: 1,
        };
        assert_eq!(effect(11, &[2, b'a', 1, 1]), Ok(Effect::Set(alice.clone())));
        assert_eq!(effect(22, &[2, b'a', 1, 0]), Ok(Effect::Remove(alice)));
        let token = Subject::DelegationToken("t".to_owned());
        let mut body = vec![2, b'o', 2, b'r', 2, 2, b'n'];
        body.extend([0; 24]);
        body.extend([2, b't', 0]);
        assert_eq!(effect(10, &body), Ok(Effect::Set(token.clone())));
        assert_eq!(effect(26, &[2, b't', 0]), Ok(Effect::Remove(token)));
        assert_eq!(effect(11, &[2, b'a']), Err(RecordError::Truncated));
        assert_eq!(effect(99, &[]), Ok(Effect::Unknown));
    }
}
