//! Request bodies with holes: what only a server's own earlier answers can fill in.

use std::collections::HashMap;
use std::sync::Arc;

use super::batch::BatchTemplate;
use crate::schema::Value;

/// What one server has answered so far, by name: topic ids, member ids, generations, session ids, producer ids.
#[derive(Debug, Default)]
pub struct Variables {
    values: HashMap<Arc<str>, Value>,
}

impl Variables {
    pub fn bind(&mut self, name: &str, value: Value) {
        self.values.insert(name.into(), value);
    }

    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }
}

/// A value tree that becomes a [`Value`] once the variables of a server are known.
#[derive(Debug, Clone)]
pub enum Template {
    Fixed(Value),
    /// A variable and what is sent while it is unbound.
    Variable(Arc<str>, Value),
    /// A variable that holds a number and what is added to it, and what is sent while it is unbound.
    Shifted(Arc<str>, i64, Value),
    Array(Vec<Template>),
    Object(Vec<(&'static str, Template)>),
    /// A record set.
    Batches(Vec<BatchTemplate>),
}

impl Template {
    pub fn null() -> Self {
        Self::Fixed(Value::Null)
    }

    pub fn resolve(&self, variables: &Variables) -> Value {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::Variable(name, fallback) => variables.value(name).unwrap_or(fallback).clone(),
            Self::Shifted(name, by, fallback) => variables
                .value(name)
                .and_then(Value::integer)
                .map_or_else(|| fallback.clone(), |number| Value::Integer(number + by)),
            Self::Array(elements) => Value::Array(
                elements
                    .iter()
                    .map(|element| element.resolve(variables))
                    .collect(),
            ),
            Self::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, value)| ((*name).into(), value.resolve(variables)))
                    .collect(),
            ),
            Self::Batches(batches) => Value::Bytes(
                batches
                    .iter()
                    .flat_map(|batch| batch.resolve(variables))
                    .collect(),
            ),
        }
    }

    /// Replaces or adds a field; anything that is no object stays as it is.
    pub fn with(mut self, name: &'static str, value: impl Into<Template>) -> Self {
        if let Self::Object(fields) = &mut self {
            fields.retain(|(field, _)| *field != name);
            fields.push((name, value.into()));
        }
        self
    }
}

impl<T: Into<Value>> From<T> for Template {
    fn from(value: T) -> Self {
        Self::Fixed(value.into())
    }
}

/// An object from names and values.
pub fn object<const N: usize>(fields: [(&'static str, Template); N]) -> Template {
    Template::Object(fields.into_iter().collect())
}

/// An array from anything that gives values.
pub fn array(elements: impl IntoIterator<Item = impl Into<Template>>) -> Template {
    Template::Array(elements.into_iter().map(Into::into).collect())
}

/// A variable with a fallback.
pub fn variable(name: impl AsRef<str>, fallback: impl Into<Value>) -> Template {
    Template::Variable(name.as_ref().into(), fallback.into())
}

/// A variable that holds a number, with something added to it and a fallback.
pub fn shifted(name: impl AsRef<str>, by: i64, fallback: impl Into<Value>) -> Template {
    Template::Shifted(name.as_ref().into(), by, fallback.into())
}

/// The variable that holds the id of a topic; it follows the topic when it is deleted and created again.
pub fn topic_id_variable(topic: &str) -> String {
    format!("topic-id:{topic}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_variable_is_a_number_of_the_server_and_more() {
        let template = shifted("epoch", -1, 9_i64);
        let mut variables = Variables::default();
        assert_eq!(template.resolve(&variables), Value::Integer(9));
        variables.bind("epoch", Value::Integer(4));
        assert_eq!(template.resolve(&variables), Value::Integer(3));
    }
}
