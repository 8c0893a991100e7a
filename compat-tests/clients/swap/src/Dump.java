import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsOptions;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Everything that clients can see of a server, as lines in an order that does not depend on it. */
final class Dump {
    private static final Set<ConfigEntry.ConfigSource> DYNAMIC = Set.of(
            ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG,
            ConfigEntry.ConfigSource.DYNAMIC_BROKER_CONFIG,
            ConfigEntry.ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG,
            ConfigEntry.ConfigSource.DYNAMIC_GROUP_CONFIG);
    private static final long PATIENCE_NS = Duration.ofSeconds(60).toNanos();

    private final String bootstrap;
    private final boolean isKafka;
    private final List<String> lines = new ArrayList<>();

    Dump(String bootstrap, boolean isKafka) {
        this.bootstrap = bootstrap;
        this.isKafka = isKafka;
    }

    void print() throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            lines.add("cluster " + admin.describeCluster().clusterId().get());
            admin.describeFeatures().featureMetadata().get().finalizedFeatures().forEach((name, range) ->
                    lines.add("feature " + name + " " + range.maxVersionLevel()));
            List<TopicPartition> partitions = topics(admin);
            producers(admin, partitions);
            groups(admin);
            transactions(admin);
            if (isKafka) {
                security(admin);
            }
            records("read_uncommitted", partitions);
            records("read_committed", partitions);
        }
        lines.sort(null);
        lines.forEach(Swap.OUT::println);
    }

    /** Returns the partitions of all topics that are not the server's own. */
    private List<TopicPartition> topics(Admin admin) throws Exception {
        Set<String> names = admin.listTopics(new ListTopicsOptions().listInternal(true)).names().get();
        List<TopicPartition> partitions = new ArrayList<>();
        List<ConfigResource> resources = new ArrayList<>();
        for (TopicDescription topic : admin.describeTopics(names).allTopicNames().get().values()) {
            lines.add("topic " + topic.name() + " " + topic.topicId() + " internal " + topic.isInternal());
            topic.partitions().forEach(partition -> {
                lines.add("partition " + topic.name() + " " + partition.partition() + " leader " + partition.leader().id()
                        + " replicas " + partition.replicas().size() + " isr " + partition.isr().size());
                if (!topic.isInternal()) {
                    partitions.add(new TopicPartition(topic.name(), partition.partition()));
                }
            });
            resources.add(new ConfigResource(ConfigResource.Type.TOPIC, topic.name()));
        }
        resources.add(new ConfigResource(ConfigResource.Type.BROKER, "1"));
        resources.add(new ConfigResource(ConfigResource.Type.BROKER, ""));
        for (int stage = 1; stage <= 6; stage++) {
            resources.add(new ConfigResource(ConfigResource.Type.GROUP, "group-" + stage));
        }
        for (Map.Entry<ConfigResource, Config> entry : admin.describeConfigs(resources).all().get().entrySet()) {
            for (ConfigEntry config : entry.getValue().entries()) {
                if (DYNAMIC.contains(config.source())) {
                    lines.add("config " + entry.getKey().type() + " " + entry.getKey().name() + " "
                            + config.name() + "=" + config.value() + " " + config.source());
                }
            }
        }
        return partitions;
    }

    private void producers(Admin admin, Collection<TopicPartition> partitions) throws Exception {
        admin.describeProducers(partitions).all().get().forEach((partition, states) ->
                states.activeProducers().forEach(state -> lines.add("producer " + partition + " " + state.producerId()
                        + " epoch " + state.producerEpoch() + " sequence " + state.lastSequence()
                        + " time " + state.lastTimestamp() + " transaction " + state.currentTransactionStartOffset())));
    }

    private void groups(Admin admin) throws Exception {
        Set<String> groups = new TreeSet<>();
        for (GroupListing group : admin.listGroups().all().get()) {
            groups.add(group.groupId());
        }
        if (groups.isEmpty()) {
            return;
        }
        admin.describeConsumerGroups(groups).all().get().forEach((name, group) ->
                lines.add("group " + name + " " + group.groupState() + " members " + group.members().size()));
        for (String group : groups) {
            Map<String, ListConsumerGroupOffsetsSpec> asked = Map.of(group, new ListConsumerGroupOffsetsSpec());
            admin.listConsumerGroupOffsets(asked, new ListConsumerGroupOffsetsOptions()).all().get().get(group)
                    .forEach((partition, offset) -> lines.add("offset " + group + " " + partition + " " + offset));
        }
    }

    private void transactions(Admin admin) throws Exception {
        List<String> ids = new ArrayList<>();
        for (TransactionListing listing : admin.listTransactions().all().get()) {
            lines.add("transaction " + listing.transactionalId() + " " + listing.producerId() + " " + listing.state());
            ids.add(listing.transactionalId());
        }
        admin.describeTransactions(ids).all().get().forEach((id, transaction) -> {
            List<String> partitions = transaction.topicPartitions().stream().map(TopicPartition::toString).sorted().toList();
            lines.add("transaction " + id + " epoch " + transaction.producerEpoch() + " timeout "
                    + transaction.transactionTimeoutMs() + " start " + transaction.transactionStartTimeMs() + " " + partitions);
        });
    }

    private void security(Admin admin) throws Exception {
        admin.describeAcls(AclBindingFilter.ANY).values().get().forEach(acl -> lines.add("only-kafka acl " + acl));
        admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get().forEach((entity, quotas) ->
                lines.add("only-kafka quota " + new java.util.TreeMap<>(entity.entries()) + " " + new java.util.TreeMap<>(quotas)));
        admin.describeUserScramCredentials().all().get().forEach((user, credentials) ->
                lines.add("only-kafka credential " + user + " " + credentials.credentialInfos()));
    }

    private void records(String isolation, List<TopicPartition> partitions) {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", bootstrap,
                "isolation.level", isolation,
                "enable.auto.commit", false,
                "auto.offset.reset", "none",
                "max.partition.fetch.bytes", 4_000_000);
        try (KafkaConsumer<byte[], byte[]> consumer =
                new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(partitions);
            Map<TopicPartition, Long> starts = consumer.beginningOffsets(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            partitions.forEach(partition -> lines.add("log " + isolation + " " + partition
                    + " from " + starts.get(partition) + " to " + ends.get(partition)));
            consumer.seekToBeginning(partitions);
            Set<TopicPartition> open = new HashSet<>(partitions);
            long started = System.nanoTime();
            while (!open.isEmpty()) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(50))) {
                    if (record.offset() < ends.get(new TopicPartition(record.topic(), record.partition()))) {
                        lines.add("record " + isolation + " " + text(record));
                    }
                }
                open.removeIf(partition -> consumer.position(partition) >= ends.get(partition));
                if (System.nanoTime() - started > PATIENCE_NS) {
                    throw new IllegalStateException("no end of " + open);
                }
            }
        }
    }

    private static String text(ConsumerRecord<byte[], byte[]> record) {
        StringBuilder headers = new StringBuilder();
        for (Header header : record.headers()) {
            headers.append(' ').append(header.key()).append('=').append(text(header.value()));
        }
        return String.format("%s %d %08d epoch %s %s %d key %s value %s headers%s",
                record.topic(), record.partition(), record.offset(), record.leaderEpoch().orElse(null),
                record.timestampType(), record.timestamp(), text(record.key()), text(record.value()), headers);
    }

    /** Short values as they are; of long ones their length and hash. */
    private static String text(byte[] bytes) {
        if (bytes == null) {
            return "null";
        }
        if (bytes.length > 40) {
            return bytes.length + ":" + Arrays.hashCode(bytes);
        }
        return new String(bytes, java.nio.charset.StandardCharsets.ISO_8859_1).replaceAll("[^ -~]", "?")
                + ":" + Arrays.hashCode(bytes);
    }
}
