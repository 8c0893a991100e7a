import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Makes one stage's worth of changes: new topics of every kind with records in them, and changes to what the stage before
 * has left, its open transaction among it.
 */
final class Work {
    private static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};
    private static final int PARTITIONS = 3;
    private static final long HOUR_MS = 3_600_000;
    /** Of transactions that stay open: longer than a run, and within the broker's own limit. */
    private static final int OPEN_TIMEOUT_MS = 800_000;

    private final int stage;
    private final String bootstrap;
    private final boolean isKafka;
    private final Random random;
    /** Of records that were not acknowledged. */
    private final Queue<String> failures = new ConcurrentLinkedQueue<>();
    private final long firstTimestamp = System.currentTimeMillis() - HOUR_MS;

    Work(int stage, String bootstrap, boolean isKafka) {
        this.stage = stage;
        this.bootstrap = bootstrap;
        this.isKafka = isKafka;
        this.random = new Random(stage);
    }

    void run() throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            createTopics(admin);
            for (String codec : CODECS) {
                write(codec);
            }
            writeLarge();
            writeWithoutIdempotence();
            commitOffsets();
            joinGroup("classic", Map.of("group.protocol", "classic"));
            admin.deleteRecords(Map.of(partition("trimmed", 0), RecordsToDelete.beforeOffset(7))).all().get();
            admin.deleteTopics(List.of(name("gone"))).all().get();
            alterConfigs(admin);
            transactions();
            if (stage > 1) {
                changeEarlierStage(admin);
            }
            if (isKafka) {
                alterSecurity(admin);
                if (admin.describeFeatures().featureMetadata().get().finalizedFeatures().containsKey("group.version")) {
                    joinGroup("modern", Map.of("group.protocol", "consumer"));
                }
            }
        }
        // Those of an aborted transaction were acknowledged as well.
        if (!failures.isEmpty()) {
            throw new IllegalStateException("not acknowledged: " + failures);
        }
    }

    private String name(String kind) {
        return kind + "-" + stage;
    }

    private TopicPartition partition(String kind, int index) {
        return new TopicPartition(name(kind), index);
    }

    private void createTopics(Admin admin) throws Exception {
        List<NewTopic> topics = new ArrayList<>();
        topics.add(topic("many", PARTITIONS, Map.of("retention.ms", "-1", "index.interval.bytes", "100")));
        topics.add(topic("compacted", PARTITIONS, Map.of("cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.9")));
        topics.add(topic("stamped", 1, Map.of("message.timestamp.type", "LogAppendTime")));
        topics.add(topic("large", 1, Map.of("segment.bytes", "1048576", "index.interval.bytes", "4096")));
        topics.add(topic("trimmed", 1, Map.of()));
        topics.add(topic("gone", 2, Map.of("retention.ms", "1000")));
        topics.add(topic("empty.with_signs-", 1, Map.of()));
        admin.createTopics(topics).all().get();
    }

    private NewTopic topic(String kind, int partitions, Map<String, String> configs) {
        return new NewTopic(name(kind), partitions, (short) 1).configs(configs);
    }

    private KafkaProducer<byte[], byte[]> producer(Map<String, Object> settings) {
        Map<String, Object> all = new HashMap<>(settings);
        all.put("bootstrap.servers", bootstrap);
        all.put("linger.ms", 5);
        // Kafka may refuse the first batch for a topic that is a moment old and take the second one, which then comes too
        // early for ever.
        all.put("max.in.flight.requests.per.connection", 1);
        all.put("max.block.ms", 60_000);
        return new KafkaProducer<>(all, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private void send(KafkaProducer<byte[], byte[]> producer, ProducerRecord<byte[], byte[]> record) {
        producer.send(record, (metadata, error) -> {
            if (error != null) {
                failures.add(record.topic() + "-" + record.partition() + ": " + error);
            }
        });
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private ProducerRecord<byte[], byte[]> record(String kind, int partition, int index, byte[] key, byte[] value) {
        ProducerRecord<byte[], byte[]> record =
                new ProducerRecord<>(name(kind), partition, firstTimestamp + 10L * index, key, value);
        Headers headers = record.headers();
        if (index % 2 == 0) {
            headers.add("twice", bytes("a" + index)).add("twice", null).add("", new byte[] {(byte) index, -1});
        }
        return record;
    }

    private void write(String codec) {
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of("compression.type", codec))) {
            for (int index = 0; index < 12; index++) {
                byte[] key = index % 5 == 0 ? null : bytes("key " + index);
                byte[] value = index % 7 == 3 ? null : bytes((codec + " value " + index + " ").repeat(8));
                for (int partition = 0; partition < PARTITIONS; partition++) {
                    send(producer, record("many", partition, index, key, value));
                    send(producer, record("compacted", partition, index, bytes("key " + index % 4), value));
                }
                send(producer, record("stamped", 0, index, key, value));
                send(producer, record("trimmed", 0, index, key, value));
                send(producer, record("gone", index % 2, index, key, value));
            }
        }
    }

    /** Enough to roll segments of a megabyte. */
    private void writeLarge() {
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of())) {
            for (int index = 0; index < 40; index++) {
                byte[] value = new byte[60_000];
                random.nextBytes(value);
                send(producer, record("large", 0, index, null, value));
            }
        }
    }

    private void writeWithoutIdempotence() {
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of("enable.idempotence", false, "acks", "1"))) {
            for (int index = 0; index < 5; index++) {
                send(producer, record("many", 0, index, null, bytes("without a producer id " + index)));
            }
        }
    }

    private KafkaConsumer<byte[], byte[]> consumer(String group, Map<String, Object> settings) {
        Map<String, Object> all = new HashMap<>(settings);
        all.put("bootstrap.servers", bootstrap);
        all.put("group.id", group);
        all.put("enable.auto.commit", false);
        all.put("auto.offset.reset", "earliest");
        return new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** A group with a member that reads, commits and leaves. */
    private void joinGroup(String kind, Map<String, Object> settings) {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(name(kind), settings)) {
            consumer.subscribe(List.of(name("stamped")));
            long deadline = System.nanoTime() + 60_000_000_000L;
            while (consumer.poll(Duration.ofMillis(100)).isEmpty()) {
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("no records for a member of " + name(kind));
                }
            }
            consumer.commitSync();
        }
    }

    private void commitOffsets() {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(name("group"), Map.of())) {
            consumer.assign(List.of(partition("many", 0), partition("many", 1)));
            consumer.commitSync(Map.of(
                    partition("many", 0), new OffsetAndMetadata(3, "a note"),
                    partition("many", 1), new OffsetAndMetadata(5, java.util.Optional.of(0), "")));
            consumer.commitSync(Map.of(partition("many", 0), new OffsetAndMetadata(4, "another")));
        }
        // A group that lives on, with offsets of every stage.
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("group-of-all", Map.of())) {
            consumer.assign(List.of(partition("many", 2)));
            consumer.commitSync(Map.of(partition("many", 2), new OffsetAndMetadata(stage)));
        }
    }

    private void alterConfigs(Admin admin) throws Exception {
        alter(admin, new ConfigResource(ConfigResource.Type.TOPIC, name("trimmed")), "max.message.bytes", "200000" + stage);
        alter(admin, new ConfigResource(ConfigResource.Type.BROKER, ""), "message.max.bytes", "300000" + stage);
        alter(admin, new ConfigResource(ConfigResource.Type.BROKER, "1"), "max.connections.per.ip", "10000" + stage);
        alter(admin, new ConfigResource(ConfigResource.Type.GROUP, name("group")), "consumer.session.timeout.ms", "5000" + stage);
    }

    private static void alter(Admin admin, ConfigResource resource, String key, String value) throws Exception {
        AlterConfigOp.OpType type = value == null ? AlterConfigOp.OpType.DELETE : AlterConfigOp.OpType.SET;
        admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry(key, value), type))))
                .all().get();
    }

    /** Transactions that commit and abort, two that stay open until the next stage, and one that nobody ends. */
    private void transactions() {
        try (KafkaProducer<byte[], byte[]> producer = transactional(name("ended"))) {
            for (String fate : List.of("committed", "aborted", "committed again")) {
                producer.beginTransaction();
                for (int index = 0; index < 6; index++) {
                    send(producer, record("many", index % PARTITIONS, index, null, bytes(fate)));
                }
                producer.sendOffsetsToTransaction(
                        Map.of(partition("many", 0), new OffsetAndMetadata(10, fate)),
                        new ConsumerGroupMetadata(name("transactional-group")));
                producer.flush();
                if (fate.startsWith("committed")) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
        }
        leaveOpen(name("open"));
        leaveOpen(name("resumed"));
        if (stage == 1) {
            leaveOpen("open-for-good");
        }
    }

    private KafkaProducer<byte[], byte[]> transactional(String id) {
        KafkaProducer<byte[], byte[]> producer =
                producer(Map.of("transactional.id", id, "transaction.timeout.ms", OPEN_TIMEOUT_MS));
        producer.initTransactions();
        return producer;
    }

    private void leaveOpen(String id) {
        KafkaProducer<byte[], byte[]> producer = transactional(id);
        producer.beginTransaction();
        send(producer, record("many", 1, 1, bytes(id), bytes("open")));
        send(producer, record("compacted", 0, 1, bytes("key 1"), bytes("open")));
        producer.sendOffsetsToTransaction(
                Map.of(partition("many", 1), new OffsetAndMetadata(1)), new ConsumerGroupMetadata(name("pending-group")));
        producer.flush();
        // At once: a patient close would abort.
        producer.close(Duration.ZERO);
    }

    /** Changes what the stage before made, most likely on another server. */
    private void changeEarlierStage(Admin admin) throws Exception {
        int earlier = stage - 1;
        String many = "many-" + earlier;
        admin.createPartitions(Map.of(many, NewPartitions.increaseTo(PARTITIONS + 1))).all().get();
        alter(admin, new ConfigResource(ConfigResource.Type.TOPIC, many), "retention.ms", null);
        alter(admin, new ConfigResource(ConfigResource.Type.TOPIC, many), "max.compaction.lag.ms", "7000000");
        admin.deleteTopics(List.of("stamped-" + earlier)).all().get();
        admin.deleteRecords(Map.of(new TopicPartition("large-" + earlier, 0), RecordsToDelete.beforeOffset(25))).all().get();
        admin.deleteConsumerGroupOffsets("group-" + earlier, Set.of(new TopicPartition(many, 1))).all().get();
        // The transaction that was left open is aborted by its own successor, which goes on with the same id.
        try (KafkaProducer<byte[], byte[]> producer = transactional("open-" + earlier)) {
            producer.beginTransaction();
            send(producer, new ProducerRecord<>(many, 1, firstTimestamp, null, bytes("by the successor of " + earlier)));
            producer.commitTransaction();
        }
        Resume.andCommit(admin, producer(Map.of("transactional.id", "resumed-" + earlier)), "resumed-" + earlier, many);
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of())) {
            send(producer, new ProducerRecord<>(many, PARTITIONS, firstTimestamp, null, bytes("in the new partition")));
            send(producer, new ProducerRecord<>("compacted-" + earlier, 0, firstTimestamp, bytes("key 2"), bytes("later")));
        }
    }

    private void alterSecurity(Admin admin) throws Exception {
        List<AclBinding> acls = new ArrayList<>();
        for (AclOperation operation : List.of(AclOperation.READ, AclOperation.WRITE, AclOperation.ALTER)) {
            acls.add(new AclBinding(
                    new ResourcePattern(ResourceType.TOPIC, name("many"), PatternType.PREFIXED),
                    new AccessControlEntry("User:user-" + stage, "*", operation, AclPermissionType.ALLOW)));
        }
        admin.createAcls(acls).all().get();
        admin.deleteAcls(List.of(acls.get(1).toFilter())).all().get();
        ClientQuotaEntity entity = new ClientQuotaEntity(Map.of("user", "user-" + stage, "client-id", "client"));
        admin.alterClientQuotas(List.of(new ClientQuotaAlteration(entity, List.of(
                new ClientQuotaAlteration.Op("producer_byte_rate", 1000.0 * stage),
                new ClientQuotaAlteration.Op("consumer_byte_rate", 2000.0))))).all().get();
        admin.alterClientQuotas(List.of(new ClientQuotaAlteration(entity, List.of(
                new ClientQuotaAlteration.Op("consumer_byte_rate", null))))).all().get();
        admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(
                "user-" + stage, new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096 + stage), "secret"))).all().get();
    }
}
