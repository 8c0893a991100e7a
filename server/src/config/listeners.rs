//! `listeners`, `advertised.listeners` and the settings around them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::java;
use super::value::is_host;
use super::values::BrokerValues;

/// One address on which clients are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The name as written, in upper case.
    pub name: String,
    /// The host to bind; `None`: all interfaces.
    pub host: Option<String>,
    /// The port to bind; 0: the system picks one.
    pub port: u16,
    /// What Metadata tells clients of this listener; `None`: the address at which their own connection arrived.
    pub advertised: Option<Advertised>,
}

/// The address under which clients find a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    pub host: String,
    /// 0: the port that was bound.
    pub port: u16,
}

/// What the listener settings come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerPlan {
    /// The listeners to bind, in the order of the setting; never empty.
    pub listeners: Vec<Listener>,
    /// The name of the listener whose address other brokers are given; it is among `listeners`.
    pub inter_broker: String,
    /// Listeners of a KRaft controller, which Klamm does not bind.
    pub controllers: Vec<String>,
}

/// A listener setting that cannot be: its key and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadListener {
    pub key: &'static str,
    pub reason: String,
}

impl BadListener {
    fn new(key: &'static str, reason: impl Into<String>) -> Self {
        Self {
            key,
            reason: reason.into(),
        }
    }
}

const LISTENERS: &str = "listeners";
const ADVERTISED: &str = "advertised.listeners";
const PROTOCOL_MAP: &str = "listener.security.protocol.map";
const INTER_BROKER: &str = "inter.broker.listener.name";
const CONTROLLERS: &str = "controller.listener.names";
const PLAINTEXT: &str = "PLAINTEXT";

/// Reads the listener settings (`AbstractKafkaConfig` and `KafkaConfig.validateValues`).
///
/// `unmapped_are_plain`: a name without a security protocol is served in plain text instead of being refused, for
/// listeners that come from `--listen`.
pub fn plan(values: &BrokerValues, unmapped_are_plain: bool) -> Result<ListenerPlan, BadListener> {
    let controller_names: Vec<String> = values
        .list(CONTROLLERS)
        .iter()
        .map(|name| name.to_uppercase())
        .collect();
    let protocols = protocols(values, &controller_names)?;
    let mut listeners: Vec<Listener> = Vec::new();
    let mut controllers = Vec::new();
    for entry in values.list(LISTENERS) {
        let Endpoint { name, host, port } = Endpoint::parse(LISTENERS, &entry)?;
        if listeners.iter().any(|other| other.name == name) || controllers.contains(&name) {
            return Err(BadListener::new(
                LISTENERS,
                format!("the name {name} is used twice"),
            ));
        }
        if controller_names.contains(&name) {
            if !protocols.contains_key(&name) {
                return Err(no_protocol(&name));
            }
            controllers.push(name);
            continue;
        }
        if port != 0
            && listeners
                .iter()
                .any(|other| other.port == port && other.host == host)
        {
            return Err(BadListener::new(
                LISTENERS,
                format!("the port {port} is used twice"),
            ));
        }
        check_protocol(
            &name,
            protocols.get(&name).map(String::as_str),
            unmapped_are_plain,
        )?;
        listeners.push(Listener {
            name,
            host,
            port,
            advertised: None,
        });
    }
    if listeners.is_empty() {
        let reason =
            format!("no listener is left for clients: all of them are named in {CONTROLLERS}");
        return Err(BadListener::new(LISTENERS, reason));
    }
    advertise(&mut listeners, values, &controller_names)?;
    let inter_broker = inter_broker(&listeners, values)?;
    Ok(ListenerPlan {
        listeners,
        inter_broker,
        controllers,
    })
}

/// The protocol of each listener name. Where the map is Kafka's default, controllers speak plain text.
fn protocols(
    values: &BrokerValues,
    controllers: &[String],
) -> Result<BTreeMap<String, String>, BadListener> {
    let mut protocols = BTreeMap::new();
    for entry in java::split_list(&values.text(PROTOCOL_MAP).unwrap_or_default()) {
        let Some((name, protocol)) = entry.rsplit_once(':') else {
            return Err(BadListener::new(
                PROTOCOL_MAP,
                format!("{entry} is not NAME:PROTOCOL"),
            ));
        };
        let protocol = java::trim(protocol).to_uppercase();
        if !["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"].contains(&protocol.as_str()) {
            let reason = format!("{protocol} is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL");
            return Err(BadListener::new(PROTOCOL_MAP, reason));
        }
        protocols.insert(java::trim(name).to_uppercase(), protocol);
    }
    if !values.is_set(PROTOCOL_MAP) {
        for controller in controllers {
            protocols
                .entry(controller.clone())
                .or_insert_with(|| PLAINTEXT.to_owned());
        }
    }
    Ok(protocols)
}

fn check_protocol(
    name: &str,
    protocol: Option<&str>,
    unmapped_is_plain: bool,
) -> Result<(), BadListener> {
    match protocol {
        Some(PLAINTEXT) => Ok(()),
        Some(protocol) => {
            let reason = format!(
                "the listener {name} asks for {protocol}, but klamm serves PLAINTEXT only so far"
            );
            Err(BadListener::new(LISTENERS, reason))
        }
        None if unmapped_is_plain => Ok(()),
        None => Err(no_protocol(name)),
    }
}

fn no_protocol(name: &str) -> BadListener {
    let reason =
        format!("the listener {name} has no protocol; add {name}:PLAINTEXT to {PROTOCOL_MAP}");
    BadListener::new(LISTENERS, reason)
}

fn advertise(
    listeners: &mut [Listener],
    values: &BrokerValues,
    controllers: &[String],
) -> Result<(), BadListener> {
    for entry in values.list(ADVERTISED) {
        let Endpoint { name, host, port } = Endpoint::parse(ADVERTISED, &entry)?;
        if controllers.contains(&name) {
            continue;
        }
        let names = names(listeners);
        let Some(listener) = listeners.iter_mut().find(|listener| listener.name == name) else {
            return Err(BadListener::new(
                ADVERTISED,
                format!("{name} is not among the listeners {names}"),
            ));
        };
        match host {
            // An empty host means this machine, and only the client's own connection tells by which name.
            None => {}
            Some(host) if host == "0.0.0.0" => {
                let reason = "no client can connect to 0.0.0.0; name an address or leave advertised.listeners out";
                return Err(BadListener::new(ADVERTISED, reason));
            }
            Some(host) => listener.advertised = Some(Advertised { host, port }),
        }
    }
    Ok(())
}

fn inter_broker(listeners: &[Listener], values: &BrokerValues) -> Result<String, BadListener> {
    let has = |name: &str| listeners.iter().any(|listener| listener.name == name);
    match values.text(INTER_BROKER).map(|name| name.to_uppercase()) {
        Some(name) if has(&name) => Ok(name),
        Some(name) => {
            let reason = format!("{name} is not among the listeners {}", names(listeners));
            Err(BadListener::new(INTER_BROKER, reason))
        }
        None if has(PLAINTEXT) => Ok(PLAINTEXT.to_owned()),
        None => Ok(listeners[0].name.clone()),
    }
}

fn names(listeners: &[Listener]) -> String {
    listeners
        .iter()
        .map(|listener| listener.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// `NAME://host:port`
struct Endpoint {
    name: String,
    host: Option<String>,
    port: u16,
}

impl Endpoint {
    fn parse(key: &'static str, entry: &str) -> Result<Self, BadListener> {
        let malformed = || BadListener::new(key, format!("{entry} is not NAME://host:port"));
        let (name, address) = entry.rsplit_once("://").ok_or_else(malformed)?;
        let (host, port) = address.rsplit_once(':').ok_or_else(malformed)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(malformed)?,
            None => host,
        };
        if name.is_empty() || !is_host(host) {
            return Err(malformed());
        }
        let port = port
            .parse()
            .map_err(|_| BadListener::new(key, format!("{port} is not a port from 0 to 65535")))?;
        Ok(Self {
            name: name.to_uppercase(),
            host: Some(host.to_owned()).filter(|host| !host.is_empty()),
            port,
        })
    }
}

/// What `--listen ADDR...` means as a value of `listeners`. An address is `host:port`, `:port` or `NAME://host:port`;
/// the first without a name is PLAINTEXT, the next PLAINTEXT_2 and so on.
pub fn listeners_from_flags(addresses: &[String]) -> String {
    let mut unnamed = 0;
    let mut named = |address: &String| {
        if address.contains("://") {
            return address.clone();
        }
        unnamed += 1;
        let name = if unnamed == 1 {
            PLAINTEXT.to_owned()
        } else {
            format!("{PLAINTEXT}_{unnamed}")
        };
        match address.parse::<IpAddr>() {
            Ok(IpAddr::V6(ip)) => format!("{name}://[{ip}]:9092"),
            Ok(IpAddr::V4(ip)) => format!("{name}://{ip}:9092"),
            Err(_) => format!("{name}://{address}"),
        }
    };
    addresses
        .iter()
        .map(&mut named)
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::{Advertised, Listener, ListenerPlan, listeners_from_flags, plan};
    use crate::config::values::BrokerValues;

    fn values(settings: &[(&str, &str)]) -> BrokerValues {
        BrokerValues::from_texts(
            settings
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned())),
        )
    }

    fn refusal(settings: &[(&str, &str)]) -> String {
        let bad = plan(&values(settings), false).expect_err("a bad listener setting");
        format!("{}: {}", bad.key, bad.reason)
    }

    #[test]
    fn a_combined_krafts_controller_listener_is_not_bound() {
        // The settings of config/server.properties in Kafka's archive.
        let plan = plan(
            &values(&[
                ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
                ("inter.broker.listener.name", "PLAINTEXT"),
                (
                    "advertised.listeners",
                    "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
                ),
                ("controller.listener.names", "CONTROLLER"),
            ]),
            false,
        );
        let advertised = Some(Advertised {
            host: "localhost".to_owned(),
            port: 9092,
        });
        let expected = ListenerPlan {
            listeners: vec![Listener {
                name: "PLAINTEXT".to_owned(),
                host: None,
                port: 9092,
                advertised,
            }],
            inter_broker: "PLAINTEXT".to_owned(),
            controllers: vec!["CONTROLLER".to_owned()],
        };
        assert_eq!(plan, Ok(expected));
    }

    #[test]
    fn listeners_have_names_hosts_and_ports_of_all_sorts() {
        let plan = plan(
            &values(&[
                ("listeners", "internal://[::1]:9092, EXTERNAL://0.0.0.0:0"),
                (
                    "listener.security.protocol.map",
                    "INTERNAL:PLAINTEXT,external:plaintext",
                ),
                ("advertised.listeners", "EXTERNAL://[2001:db8::1]:19092"),
            ]),
            false,
        )
        .expect("good listeners");
        let seen: Vec<_> = plan
            .listeners
            .iter()
            .map(|l| (l.name.as_str(), l.host.as_deref(), l.port))
            .collect();
        assert_eq!(
            seen,
            [
                ("INTERNAL", Some("::1"), 9092),
                ("EXTERNAL", Some("0.0.0.0"), 0)
            ]
        );
        assert_eq!(plan.inter_broker, "INTERNAL");
        assert_eq!(plan.listeners[0].advertised, None);
        let advertised = Advertised {
            host: "2001:db8::1".to_owned(),
            port: 19092,
        };
        assert_eq!(plan.listeners[1].advertised, Some(advertised));
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (settings, expected) in [
            (
                &[("listeners", "localhost:9092")][..],
                "listeners: localhost:9092 is not NAME://host:port",
            ),
            (
                &[("listeners", "PLAINTEXT://:99999")],
                "listeners: 99999 is not a port from 0 to 65535",
            ),
            (
                &[("listeners", "PLAINTEXT://:1,plaintext://:2")],
                "listeners: the name PLAINTEXT is used twice",
            ),
            (
                &[("listeners", "SSL://:9093")],
                "listeners: the listener SSL asks for SSL, but klamm serves PLAINTEXT only so far",
            ),
            (
                &[("listeners", "INSIDE://:9093")],
                "listeners: the listener INSIDE has no protocol; add INSIDE:PLAINTEXT to listener.security.protocol.map",
            ),
            (
                &[
                    ("listeners", "PLAINTEXT://:9092"),
                    ("advertised.listeners", "OUTSIDE://h:9092"),
                ],
                "advertised.listeners: OUTSIDE is not among the listeners PLAINTEXT",
            ),
            (
                &[
                    ("listeners", "PLAINTEXT://:9092"),
                    ("advertised.listeners", "PLAINTEXT://0.0.0.0:9092"),
                ],
                "advertised.listeners: no client can connect to 0.0.0.0; name an address or leave advertised.listeners out",
            ),
            (
                &[("listener.security.protocol.map", "PLAINTEXT:TLS")],
                "listener.security.protocol.map: TLS is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL",
            ),
            (
                &[("inter.broker.listener.name", "OTHER")],
                "inter.broker.listener.name: OTHER is not among the listeners PLAINTEXT",
            ),
        ] {
            assert_eq!(refusal(settings), expected);
        }
    }

    #[test]
    fn flags_may_leave_out_the_name_and_the_port() {
        let flags = |addresses: &[&str]| {
            listeners_from_flags(
                &addresses
                    .iter()
                    .map(|&address| address.to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(flags(&["127.0.0.1:0"]), "PLAINTEXT://127.0.0.1:0");
        assert_eq!(
            flags(&[":9092", "[::1]:9093", "LAN://10.0.0.1:9094"]),
            "PLAINTEXT://:9092,PLAINTEXT_2://[::1]:9093,LAN://10.0.0.1:9094"
        );
        assert_eq!(
            flags(&["::1", "10.0.0.1"]),
            "PLAINTEXT://[::1]:9092,PLAINTEXT_2://10.0.0.1:9092"
        );
    }
}
