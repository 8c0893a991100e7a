//! The reference of every config, as `klamm configs` prints it.

use std::fmt::Write;

use super::def::{Check, DefaultValue, Definition, Effect, Exposure, Kind, Update};
use super::table::{self, Scope};
use super::value;

/// Every config in one text, section by section; Markdown tables when asked for.
pub fn reference(markdown: bool) -> String {
    let scopes = [
        (Scope::Broker, "Broker configs", BROKER_INTRODUCTION),
        (Scope::Topic, "Topic configs", TOPIC_INTRODUCTION),
        (Scope::Group, "Group configs", GROUP_INTRODUCTION),
        (
            Scope::ClientMetrics,
            "Client metrics configs",
            CLIENT_METRICS_INTRODUCTION,
        ),
    ];
    let mut text = String::new();
    for (scope, title, introduction) in scopes {
        let mark = if markdown { "# " } else { "" };
        line(&mut text, format_args!("{mark}{title}\n\n{introduction}\n"));
        for (section, rows) in table::sections(scope) {
            let rows = rows.iter().filter(|row| row.exposure != Exposure::Internal);
            if markdown {
                markdown_section(&mut text, scope, section, rows);
            } else {
                plain_section(&mut text, scope, section, rows);
            }
        }
    }
    text
}

const BROKER_INTRODUCTION: &str = "\
Set in a properties file, by environment variables or with --set. \"Dynamic\" ones can also be changed while klamm runs,
with kafka-configs or any other client: \"cluster-wide\" for one broker or for all, \"per-broker\" for one broker.";

const TOPIC_INTRODUCTION: &str = "\
Set when a topic is created, or later with kafka-configs or any other client. What a topic does not set comes from the
broker config beside it.";

const GROUP_INTRODUCTION: &str = "\
Set with kafka-configs or any other client. What a group does not set comes from the broker config beside it.";

const CLIENT_METRICS_INTRODUCTION: &str = "Set with kafka-client-metrics or any other client.";

fn plain_section<'a>(
    text: &mut String,
    scope: Scope,
    section: &str,
    rows: impl Iterator<Item = &'a Definition>,
) {
    if scope == Scope::Broker {
        line(text, format_args!("== {section}\n"));
    }
    for row in rows {
        let kind = row.kind.name();
        line(
            text,
            format_args!(
                "{}\n    {kind}, {}{}",
                row.name,
                default(row),
                changes(scope, row)
            ),
        );
        if let Some(allowed) = worth_saying(row) {
            line(text, format_args!("    Takes {allowed}."));
        }
        line(text, format_args!("    {}", row.doc));
        if let Effect::Inert(reason) = row.effect {
            line(text, format_args!("    No effect: {reason}."));
        }
        line(text, format_args!(""));
    }
}

fn markdown_section<'a>(
    text: &mut String,
    scope: Scope,
    section: &str,
    rows: impl Iterator<Item = &'a Definition>,
) {
    if scope == Scope::Broker {
        line(text, format_args!("## {section}\n"));
    }
    let last = if scope == Scope::Broker {
        "Changes"
    } else {
        "Broker config"
    };
    line(
        text,
        format_args!("| Name | Type | Default | {last} | What it does |\n|---|---|---|---|---|"),
    );
    for row in rows {
        let change = match scope {
            Scope::Broker => row.update.name().to_owned(),
            Scope::Topic | Scope::Group | Scope::ClientMetrics => synonyms(row).unwrap_or_default(),
        };
        let effect = match row.effect {
            Effect::Active => String::new(),
            Effect::Inert(reason) => format!(" *No effect: {reason}.*"),
        };
        let allowed = worth_saying(row)
            .map(|allowed| format!(" Takes {allowed}."))
            .unwrap_or_default();
        let (name, kind) = (row.name, row.kind.name());
        let default = default_text(row)
            .map(|text| format!("`{text}`"))
            .unwrap_or_default();
        let what = format!("{}{allowed}{effect}", row.doc).replace('|', "\\|");
        line(
            text,
            format_args!("| `{name}` | {kind} | {default} | {change} | {what} |"),
        );
    }
    line(text, format_args!(""));
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("writing to a string cannot fail");
}

/// What holds where nobody sets the config; `None` where nothing does.
fn default_text(row: &Definition) -> Option<&'static str> {
    row.implied.or(match row.default {
        DefaultValue::Is(text) => Some(text),
        DefaultValue::Required | DefaultValue::Unset => None,
    })
}

fn default(row: &Definition) -> String {
    match default_text(row) {
        Some("") => "empty".to_owned(),
        Some(text) => format!("default {text}"),
        None => "unset".to_owned(),
    }
}

fn changes(scope: Scope, row: &Definition) -> String {
    match (scope, row.update) {
        (Scope::Broker, Update::ReadOnly) => ", changes with a restart".to_owned(),
        (Scope::Broker, update) => format!(", dynamic ({})", update.name()),
        _ => synonyms(row)
            .map(|synonyms| format!(", else from {synonyms}"))
            .unwrap_or_default(),
    }
}

fn synonyms(row: &Definition) -> Option<String> {
    let names: Vec<&str> = row.synonyms.iter().map(|synonym| synonym.name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// What a config takes, where its type does not say it already.
fn worth_saying(row: &Definition) -> Option<String> {
    let is_plain = match row.check {
        Check::Any | Check::NotEmpty => true,
        Check::Entries { allowed, .. } => allowed.is_empty(),
        _ => row.kind == Kind::Boolean,
    };
    (!is_plain).then(|| value::allowed(row))
}

#[cfg(test)]
mod tests {
    use super::reference;
    use crate::config::def::Exposure;
    use crate::config::table::{self, Scope};

    #[test]
    fn the_reference_names_every_config_that_is_not_internal() {
        let (plain, markdown) = (reference(false), reference(true));
        for scope in [
            Scope::Broker,
            Scope::Topic,
            Scope::Group,
            Scope::ClientMetrics,
        ] {
            for row in table::rows(scope).filter(|row| row.exposure != Exposure::Internal) {
                assert!(plain.contains(&format!("\n{}\n", row.name)), "{}", row.name);
                assert!(
                    markdown.contains(&format!("\n| `{}` | {} |", row.name, row.kind.name())),
                    "{}",
                    row.name
                );
            }
        }
        assert!(!plain.contains("unstable.api.versions.enable"));
    }

    #[test]
    fn an_entry_says_type_default_changes_range_and_effect() {
        let plain = reference(false);
        for expected in [
            "\nnum.partitions\n    int, default 1, changes with a restart\n    Takes a 32-bit whole number of at least 1.\n",
            "\nretention.ms\n    long, default 604800000, else from log.retention.ms, log.retention.minutes, log.retention.hours\n",
            "\nmax.connections\n    int, default 2147483647, dynamic (cluster-wide)\n",
            "\n    No effect: klamm.network.threads says how many threads Klamm has.\n",
        ] {
            assert!(plain.contains(expected), "{expected}");
        }
    }
}
