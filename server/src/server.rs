//! A broker with its sockets and its background work: started, waited for, stopped.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tracing::{info, warn};
use uuid::Uuid;

use crate::broker::{Background, Broker};
use crate::clock::Clock;
use crate::cluster::changes;
use crate::cluster::local::{Durability, LocalMetadataStore, bootstrap_records, upkeep};
use crate::cluster::record::{RegisterBrokerRecord, RegisterControllerRecord};
use crate::cluster::{ConfigResource, Endpoint, MetadataRecord, MetadataStore};
use crate::config::{
    Configs, FsyncPolicy, Listener as ListenerConfig, NetworkConfig, Overrides, StorageRoot,
};
use crate::coordinator::{GroupCoordinator, TransactionCoordinator};
use crate::deadlines::Deadlines;
use crate::features;
use crate::fetch::session::FetchSessions;
use crate::limits::RequestMemory;
use crate::metrics::Metrics;
use crate::net::{ConnectionCount, ConnectionLimits, Listener, Threads};
use crate::partitions::Partitions;
use crate::producer_ids::ProducerIds;
use crate::storage::{OpenedStorage, Storage};

/// How long a stop waits for connections to finish what they are writing.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Stands for "no idle limit": longer than any connection lives.
const IDLE_NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// What Kafka's sample configuration calls the listener of a controller.
const CONTROLLER_LISTENER: &str = "CONTROLLER";

/// A running broker.
pub struct Server {
    pub broker: Arc<Broker>,
    /// The bound listeners: name and address.
    pub addresses: Vec<(String, SocketAddr)>,
    /// Where the data is.
    pub data_dirs: Vec<PathBuf>,
    /// Removed, with all it holds, when the server is dropped.
    _temporary: Option<TempDir>,
}

/// Why a broker did not start.
#[derive(Debug)]
pub enum StartError {
    /// A listener's host is not an address and no name that the system knows.
    Resolve {
        listener: String,
        host: String,
        reason: String,
    },
    /// A listener's address cannot be had.
    Bind {
        listener: String,
        address: SocketAddr,
        error: io::Error,
    },
    /// `klamm.metrics.listener` is no address, or cannot be had.
    Metrics { address: String, error: io::Error },
    /// The data directory cannot be used.
    Storage(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve {
                listener,
                host,
                reason,
            } => write!(
                f,
                "listener {listener}: cannot resolve host {host}: {reason}"
            ),
            Self::Bind {
                listener,
                address,
                error,
            } if error.kind() == io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "listener {listener}: {address} is in use; stop what listens there, or choose another port with --listen"
                )
            }
            Self::Bind {
                listener,
                address,
                error,
            } => write!(
                f,
                "listener {listener}: cannot listen on {address}: {error}"
            ),
            Self::Metrics { address, error } => {
                write!(f, "klamm.metrics.listener={address}: {error}")
            }
            Self::Storage(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for StartError {}

impl Server {
    /// Starts a broker. When this returns it serves.
    ///
    /// # Errors
    /// When the data directory or a listener's address cannot be had. Nothing is left behind then but the directory.
    pub async fn start(configs: Configs, threads: Threads) -> Result<Self, StartError> {
        let config = configs.broker();
        // Addresses first: the mistake that is made most often is told before any file is touched.
        let listeners = bind_all(&config.listeners, &config.net)?;
        let addresses: Vec<_> = listeners
            .iter()
            .map(|listener| (listener.name.clone(), listener.local))
            .collect();
        let metrics = match &config.metrics_listener {
            Some(address) => Some(bind_metrics(address).await?),
            None => None,
        };
        let (data_dirs, temporary) = directories(&config.storage)?;
        let opening = Opening {
            configs,
            data_dirs: data_dirs.clone(),
            metadata_log_dir: config.metadata_log_dir.clone(),
            addresses: addresses.clone(),
        };
        let Opened {
            broker,
            store,
            was_clean,
        } = tokio::task::spawn_blocking(move || opening.open())
            .await
            .map_err(|panic| StartError::Storage(panic.to_string()))??;
        let server = Self {
            broker: Arc::new(broker),
            addresses,
            data_dirs,
            _temporary: temporary,
        };
        server.broker.groups.load_all(&server.broker).await;
        // After the groups: transactions that were ending write their markers to the offsets partitions as well.
        server.broker.transactions.load_all(&server.broker).await;
        server.spawn_background(store);
        if !was_clean {
            let broker = Arc::clone(&server.broker);
            let checking = move || broker.open_all_logs();
            server.broker.background.tasks.spawn_blocking(checking);
        }
        server.accept(listeners, &threads);
        if let Some(listener) = metrics {
            let broker = Arc::clone(&server.broker);
            server.broker.spawn(crate::metrics::serve(listener, broker));
        }
        Ok(server)
    }

    /// Stops accepting, ends the connections, writes and syncs everything.
    pub async fn stop(self) {
        let Background { tasks, shutdown } = &self.broker.background;
        shutdown.cancel();
        tasks.close();
        if tokio::time::timeout(STOP_GRACE, tasks.wait())
            .await
            .is_err()
        {
            warn!("some connections did not end in time and are cut off");
        }
        let broker = Arc::clone(&self.broker);
        if tokio::task::spawn_blocking(move || broker.close())
            .await
            .is_err()
        {
            warn!("closing the logs failed; they are recovered at the next start");
        }
    }

    fn accept(&self, listeners: Vec<Listener>, threads: &Threads) {
        let Background { tasks, shutdown } = &self.broker.background;
        let config = self.broker.config();
        let count = Arc::new(ConnectionCount::default());
        let limits = ConnectionLimits {
            frame_bytes_max: config.net.request_bytes_max,
            requests_in_flight_max: config.net.requests_in_flight_max,
            idle_max: config.net.connection_idle_max.unwrap_or(IDLE_NEVER),
        };
        for listener in listeners {
            let (broker, count) = (Arc::clone(&self.broker), Arc::clone(&count));
            let (threads, tasks) = (threads.clone(), tasks.clone());
            let run = listener.run(
                broker,
                count,
                limits,
                threads,
                tasks.clone(),
                shutdown.clone(),
            );
            tasks.spawn(run);
        }
    }

    fn spawn_background(&self, store: Arc<LocalMetadataStore>) {
        let Background { tasks, shutdown } = &self.broker.background;
        let (broker, stop) = (Arc::clone(&self.broker), shutdown.clone());
        tasks.spawn(async move {
            let timers = Arc::clone(&broker);
            timers.groups.run_timers(broker, stop).await;
        });
        let (broker, stop) = (Arc::clone(&self.broker), shutdown.clone());
        tasks.spawn(async move {
            let timers = Arc::clone(&broker);
            timers.transactions.run_timers(broker, stop).await;
        });
        tasks.spawn(crate::cleaning::run(
            Arc::clone(&self.broker),
            shutdown.clone(),
        ));
        tasks.spawn(crate::housekeeping::run(
            Arc::clone(&self.broker),
            shutdown.clone(),
        ));
        tasks.spawn(upkeep::run(store, shutdown.clone()));
    }
}

/// What is needed to open a broker's data.
struct Opening {
    configs: Configs,
    data_dirs: Vec<PathBuf>,
    /// Where the metadata log is, when it is not in the first of these.
    metadata_log_dir: Option<PathBuf>,
    addresses: Vec<(String, SocketAddr)>,
}

/// What a broker consists of before it serves.
struct Opened {
    broker: Broker,
    store: Arc<LocalMetadataStore>,
    /// Whether the last stop was clean.
    was_clean: bool,
}

impl Opening {
    /// Opens everything under the data directories. Blocks on the disk.
    fn open(self) -> Result<Opened, StartError> {
        let config = self.configs.broker();
        let never_syncs = config.fsync == FsyncPolicy::Never;
        let OpenedStorage {
            storage,
            cluster_id,
            was_clean,
        } = Storage::open(
            &self.data_dirs,
            config.cluster_id.as_deref(),
            config.node_id,
            config.log.open_files_max,
        )
        .map_err(StartError::Storage)?;
        let durability = if never_syncs {
            Durability::PageCache
        } else {
            Durability::Disk
        };
        let clock = Clock;
        let metadata_dir = self.metadata_dir();
        let store = LocalMetadataStore::open(
            metadata_dir,
            &cluster_id,
            config.node_id,
            durability,
            config.metadata_log,
            Box::new(|| Clock.now_ms()),
        )
        .map_err(|error| StartError::Storage(error.to_string()))?;
        // Without metadata every log would count as one of a deleted topic.
        if let (false, Some(log)) = (store.had_metadata(), storage.any_log()) {
            return Err(StartError::Storage(format!(
                "there are logs of topics (such as {log}), but the metadata log in {} is empty: it is somewhere else \
                 (metadata.log.dir), or these directories belong to a broker of a larger cluster",
                metadata_dir.display()
            )));
        }
        let store = Arc::new(store);
        self.bootstrap(&*store)?;
        self.register(&*store, &storage, was_clean)
            .map_err(|error| StartError::Storage(error.to_string()))?;
        let fsync = match config.fsync {
            FsyncPolicy::AcksAll => klamm_log_store::partition::FsyncPolicy::AcksAll,
            FsyncPolicy::Always => klamm_log_store::partition::FsyncPolicy::Always,
            FsyncPolicy::Never => klamm_log_store::partition::FsyncPolicy::Never,
        };
        let broker = Broker {
            node_id: config.node_id,
            clock,
            configs: self.configs,
            metadata: Arc::clone(&store) as Arc<dyn MetadataStore>,
            partitions: Partitions::new(storage, fsync, clock),
            groups: GroupCoordinator::default(),
            transactions: TransactionCoordinator::default(),
            producer_ids: ProducerIds::default(),
            fetch_sessions: FetchSessions::new(config.fetch_sessions_max),
            request_memory: RequestMemory::new(config.net.request_memory_bytes_max),
            deadlines: Deadlines::default(),
            topic_changes: Mutex::default(),
            following: Mutex::default(),
            background: Background::default(),
            metrics: Metrics::default(),
        };
        let image = broker.image();
        broker.image_changed();
        broker.partitions.storage.delete_strays(|name, topic_id| {
            let topic = name
                .rsplit_once('-')
                .and_then(|(topic, _)| image.topic(topic));
            topic.is_some_and(|topic| topic_id.is_none_or(|id| id == topic.id))
        });
        Ok(Opened {
            broker,
            store,
            was_clean,
        })
    }

    /// Where the metadata log is.
    fn metadata_dir(&self) -> &Path {
        self.metadata_log_dir
            .as_deref()
            .unwrap_or(&self.data_dirs[0])
    }

    /// Begins the metadata of a new cluster: with what the directory was formatted with, or with what this release has.
    fn bootstrap(&self, store: &dyn MetadataStore) -> Result<(), StartError> {
        let formatted = bootstrap_records(self.metadata_dir())
            .map_err(|error| StartError::Storage(error.to_string()))?;
        let mut records = formatted.unwrap_or_else(|| {
            let level = |(name, level)| MetadataRecord::FeatureLevel { name, level };
            features::bootstrap_levels()
                .into_iter()
                .map(level)
                .collect()
        });
        // With eligible leader replicas, Kafka's controller pins the replicas that must be in sync for the whole cluster.
        if features::has_eligible_leader_replicas(&records) {
            let in_sync_min = self.configs.topic(&Overrides::new()).min_insync_replicas;
            records.push(MetadataRecord::Config {
                resource_type: ConfigResource::BROKER,
                resource_name: ConfigResource::default_broker().name,
                name: "min.insync.replicas".to_owned(),
                value: Some(in_sync_min.to_string()),
            });
        }
        changes::bootstrap(store, &records)
            .map_err(|error| StartError::Storage(error.to_string()))?;
        Ok(())
    }

    /// Brings the metadata up to date with this start of the broker.
    fn register(
        &self,
        store: &dyn MetadataStore,
        storage: &Storage,
        was_clean: bool,
    ) -> Result<(), crate::cluster::ProposeError> {
        let config = self.configs.broker();
        changes::elect_leaders(store, config.node_id)?;
        if !was_clean && store.image().topic_count() > 0 {
            info!(
                "the last stop was not clean: logs are checked behind the requests, and leader epochs start anew"
            );
            changes::bump_leader_epochs(store, config.node_id)?;
        }
        let listeners = endpoints(&config.listeners, &self.addresses);
        let incarnation_id = Uuid::new_v4();
        changes::register_controller(
            store,
            &RegisterControllerRecord {
                controller_id: config.node_id,
                incarnation_id,
                is_zk_migration_ready: false,
                endpoints: controller_endpoints(&listeners),
                features: features::supported(),
            },
        )?;
        changes::register_broker(
            store,
            &RegisterBrokerRecord {
                broker_id: config.node_id,
                is_migrating_zk_broker: false,
                incarnation_id,
                // The store puts the real epoch here.
                broker_epoch: -1,
                endpoints: listeners,
                features: features::supported(),
                rack: config.rack.clone(),
                is_fenced: false,
                is_in_controlled_shutdown: false,
                log_dirs: storage.directory_ids(),
                cordoned_log_dirs: None,
            },
        )?;
        Ok(())
    }
}

/// The listeners as the cluster's metadata names them.
fn endpoints(listeners: &[ListenerConfig], addresses: &[(String, SocketAddr)]) -> Vec<Endpoint> {
    addresses
        .iter()
        .map(|(name, local)| {
            let advertised = listeners
                .iter()
                .find(|listener| listener.name == *name)
                .and_then(|listener| listener.advertised.clone());
            let (host, port) = advertised.map_or_else(
                || (local.ip().to_string(), local.port()),
                |advertised| (advertised.host, advertised.port),
            );
            Endpoint {
                name: name.clone(),
                host,
                port: if port == 0 { local.port() } else { port },
                security_protocol: 0,
            }
        })
        .collect()
}

/// The controller's side of this node, as DescribeQuorum shows it. The broker's own listeners answer everything that a
/// controller would be asked, so the name that Kafka's sample configuration gives points to the first of them.
fn controller_endpoints(listeners: &[Endpoint]) -> Vec<Endpoint> {
    listeners
        .first()
        .map(|first| Endpoint {
            name: CONTROLLER_LISTENER.to_owned(),
            ..first.clone()
        })
        .into_iter()
        .collect()
}

fn bind_all(
    listeners: &[ListenerConfig],
    net: &NetworkConfig,
) -> Result<Vec<Listener>, StartError> {
    listeners
        .iter()
        .map(|listener| {
            let address = resolve(listener)?;
            Listener::bind(&listener.name, address, net).map_err(|error| StartError::Bind {
                listener: listener.name.clone(),
                address,
                error,
            })
        })
        .collect()
}

async fn bind_metrics(address: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| StartError::Metrics {
            address: address.to_owned(),
            error,
        })
}

fn resolve(listener: &ListenerConfig) -> Result<SocketAddr, StartError> {
    let Some(host) = &listener.host else {
        return Ok(SocketAddr::from((
            std::net::Ipv6Addr::UNSPECIFIED,
            listener.port,
        )));
    };
    let unresolved = |reason: String| StartError::Resolve {
        listener: listener.name.clone(),
        host: host.clone(),
        reason,
    };
    let mut addresses = (host.as_str(), listener.port)
        .to_socket_addrs()
        .map_err(|error| unresolved(error.to_string()))?;
    addresses
        .next()
        .ok_or_else(|| unresolved("it has no address".to_owned()))
}

fn directories(storage: &StorageRoot) -> Result<(Vec<PathBuf>, Option<TempDir>), StartError> {
    match storage {
        StorageRoot::Directories(directories) => Ok((directories.clone(), None)),
        StorageRoot::Ephemeral => {
            let temporary = tempfile::Builder::new()
                .prefix("klamm-")
                .tempdir()
                .map_err(|error| {
                    StartError::Storage(format!("cannot make a temporary directory: {error}"))
                })?;
            Ok((vec![temporary.path().to_owned()], Some(temporary)))
        }
    }
}
