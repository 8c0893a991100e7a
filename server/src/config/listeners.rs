//! `listeners`, `advertised.listeners` and the settings around them.

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
    pub port: u16,
}
