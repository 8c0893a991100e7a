//! One row of the config table: what a config is called, what it takes and what it does.

/// A config. It exists only as a row of [`super::table`]: parsing, validation, DescribeConfigs and
/// `klamm configs` all read the row.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    pub name: &'static str,
    pub kind: Kind,
    pub default: DefaultValue,
    /// What Klamm sets by itself where nobody else does, over the default. Clients see it as a static setting.
    pub implied: Option<&'static str>,
    pub check: Check,
    pub update: Update,
    pub exposure: Exposure,
    /// For configs of topics and groups: the broker configs that stand in when the resource has no value of its
    /// own, the first that is set winning.
    pub synonyms: &'static [Synonym],
    pub effect: Effect,
    /// What it is for, in one line.
    pub doc: &'static str,
}

/// The types of Kafka's `ConfigDef`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

impl Kind {
    /// The lower-case name that the reference prints.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Int => "int",
            Self::Short => "short",
            Self::Long => "long",
            Self::Double => "double",
            Self::List => "list",
            Self::Class => "class",
            Self::Password => "password",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// There is none; Kafka does not start without the config. Klamm implies one.
    Required,
    /// Nothing: the config is unset unless somebody sets it.
    Unset,
    Is(&'static str),
}

impl DefaultValue {
    /// The text of the default, where there is one.
    pub fn text(self) -> Option<&'static str> {
        match self {
            Self::Is(text) => Some(text),
            Self::Required | Self::Unset => None,
        }
    }
}

/// Which values of its kind a config takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Check {
    Any,
    AtLeast(i64),
    /// Both ends included.
    Between(i64, i64),
    /// For doubles, both ends included.
    Ratio(f64, f64),
    /// -1 or 1 to 9.
    GzipLevel,
    OneOf(&'static [&'static str]),
    /// Upper and lower case alike.
    AnyCaseOf(&'static [&'static str]),
    /// A string of at least one character.
    NotEmpty,
    /// A list of distinct entries (repeated ones are dropped, as Kafka does). An empty `allowed` allows any.
    Entries {
        allowed: &'static [&'static str],
        may_be_empty: bool,
    },
    /// `partition:broker` entries, or `*`.
    ThrottledReplicas,
    /// `latest`, `earliest` or `by_duration:<ISO 8601>`.
    OffsetReset,
    /// `id@host:port` entries.
    Voters,
    /// `host:port` entries.
    HostPorts,
}

/// How a broker config changes while the broker runs (KIP-226).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// Only by a restart.
    ReadOnly,
    /// For one broker by its id, not for the cluster as a whole.
    PerBroker,
    /// Like `PerBroker`, and only under a `listener.name.<listener>.` prefix.
    PerListener,
    /// For one broker or for the whole cluster.
    ClusterWide,
}

impl Update {
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::PerBroker => "per-broker",
            Self::PerListener => "per-listener",
            Self::ClusterWide => "cluster-wide",
        }
    }
}

/// Who gets to see a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    Public,
    /// Kafka takes it but neither documents nor describes it unless it is set.
    Internal,
    /// Kafka takes it as a dynamic config only and describes it only when it is set.
    DynamicOnly,
    /// Kafka does not know it; it never leaves over the wire.
    Klamm,
}

/// Whether setting a config changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Active,
    /// Accepted, kept and described, and nothing else; the text says why.
    Inert(&'static str),
}

/// A broker config that stands in for a config of a topic or group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synonym {
    pub name: &'static str,
    /// What its value is multiplied by: 60,000 for minutes, 3,600,000 for hours.
    pub factor: i64,
}

pub const fn same(name: &'static str) -> Synonym {
    Synonym { name, factor: 1 }
}

pub const fn minutes(name: &'static str) -> Synonym {
    Synonym {
        name,
        factor: 60_000,
    }
}

pub const fn hours(name: &'static str) -> Synonym {
    Synonym {
        name,
        factor: 3_600_000,
    }
}

/// A row with a default.
pub const fn def(name: &'static str, kind: Kind, default: &'static str) -> Definition {
    row(name, kind, DefaultValue::Is(default))
}

/// A row that is unset by default.
pub const fn unset(name: &'static str, kind: Kind) -> Definition {
    row(name, kind, DefaultValue::Unset)
}

/// A row without which Kafka does not start.
pub const fn required(name: &'static str, kind: Kind) -> Definition {
    row(name, kind, DefaultValue::Required)
}

const fn row(name: &'static str, kind: Kind, default: DefaultValue) -> Definition {
    Definition {
        name,
        kind,
        default,
        implied: None,
        check: Check::Any,
        update: Update::ReadOnly,
        exposure: Exposure::Public,
        synonyms: &[],
        effect: Effect::Active,
        doc: "",
    }
}

impl Definition {
    pub const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    pub const fn implied(mut self, value: &'static str) -> Self {
        self.implied = Some(value);
        self
    }

    pub const fn inert(mut self, reason: &'static str) -> Self {
        self.effect = Effect::Inert(reason);
        self
    }

    pub const fn per_broker(mut self) -> Self {
        self.update = Update::PerBroker;
        self
    }

    pub const fn per_listener(mut self) -> Self {
        self.update = Update::PerListener;
        self
    }

    pub const fn cluster_wide(mut self) -> Self {
        self.update = Update::ClusterWide;
        self
    }

    pub const fn internal(mut self) -> Self {
        self.exposure = Exposure::Internal;
        self
    }

    pub const fn dynamic_only(mut self) -> Self {
        self.exposure = Exposure::DynamicOnly;
        self
    }

    pub const fn klamm(mut self) -> Self {
        self.exposure = Exposure::Klamm;
        self
    }

    pub const fn broker(mut self, synonyms: &'static [Synonym]) -> Self {
        self.synonyms = synonyms;
        self
    }

    pub const fn at_least(mut self, min: i64) -> Self {
        self.check = Check::AtLeast(min);
        self
    }

    pub const fn between(mut self, min: i64, max: i64) -> Self {
        self.check = Check::Between(min, max);
        self
    }

    pub const fn ratio(mut self, min: f64, max: f64) -> Self {
        self.check = Check::Ratio(min, max);
        self
    }

    pub const fn gzip_level(mut self) -> Self {
        self.check = Check::GzipLevel;
        self
    }

    pub const fn one_of(mut self, values: &'static [&'static str]) -> Self {
        self.check = Check::OneOf(values);
        self
    }

    pub const fn any_case_of(mut self, values: &'static [&'static str]) -> Self {
        self.check = Check::AnyCaseOf(values);
        self
    }

    pub const fn not_empty(mut self) -> Self {
        self.check = Check::NotEmpty;
        self
    }

    /// A list of distinct entries, empty or not.
    pub const fn distinct(mut self) -> Self {
        self.check = Check::Entries {
            allowed: &[],
            may_be_empty: true,
        };
        self
    }

    /// A list of at least one entry, all distinct.
    pub const fn some(mut self) -> Self {
        self.check = Check::Entries {
            allowed: &[],
            may_be_empty: false,
        };
        self
    }

    /// A list of distinct entries out of `allowed`, empty or not.
    pub const fn each_of(mut self, allowed: &'static [&'static str]) -> Self {
        self.check = Check::Entries {
            allowed,
            may_be_empty: true,
        };
        self
    }

    /// A list of at least one entry, all distinct and out of `allowed`.
    pub const fn some_of(mut self, allowed: &'static [&'static str]) -> Self {
        self.check = Check::Entries {
            allowed,
            may_be_empty: false,
        };
        self
    }

    pub const fn throttled_replicas(mut self) -> Self {
        self.check = Check::ThrottledReplicas;
        self
    }

    pub const fn offset_reset(mut self) -> Self {
        self.check = Check::OffsetReset;
        self
    }

    pub const fn voters(mut self) -> Self {
        self.check = Check::Voters;
        self
    }

    pub const fn host_ports(mut self) -> Self {
        self.check = Check::HostPorts;
        self
    }

    /// True where clients must not be shown the value.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }
}

/// Why a config is inert.
pub mod reason {
    pub const RUNTIME_THREADS: &str = "klamm.network.threads says how many threads Klamm has";
    pub const OWN_BUFFERS: &str = "Klamm sizes its own buffers and queues";
    pub const OWN_METRICS: &str = "Klamm's metrics have a shape of their own";
    pub const OWN_METADATA_LOG: &str = "Klamm sizes its own metadata log";
    pub const NOTHING_TO_PURGE: &str = "waiting requests leave no remains that need purging";
    pub const ALWAYS_SO: &str = "Klamm knows one way only";
    pub const NOT_YET: &str = "Klamm does not act on it yet";
    pub const NO_JAVA: &str = "it names Java code, which Klamm cannot run";
    pub const NO_SECURITY: &str = "there is no TLS, SASL or authorizer yet";
    pub const NO_FOLLOWERS: &str = "there are no other brokers yet";
    pub const NO_QUORUM: &str = "one broker needs no controller quorum";
    pub const NO_DIRECTORY_MOVES: &str = "partitions don't move between log directories yet";
    pub const NO_QUOTAS: &str = "there are no quotas yet";
    pub const NO_TIERED_STORAGE: &str = "there is no tiered storage";
    pub const NO_CONSUMER_GROUPS: &str = "groups of the consumer protocol are not served yet";
    pub const NO_SHARE_GROUPS: &str = "share groups are not served yet";
    pub const NO_STREAMS_GROUPS: &str = "streams groups are not served yet";
}
