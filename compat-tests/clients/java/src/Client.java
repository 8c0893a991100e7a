import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutionException;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Apache's Java client behind the command line of ../README.md; compiled once for each release it is tested with. */
public final class Client {
    private static final Duration POLL = Duration.ofMillis(100);

    private final String bootstrap;

    private Client(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    public static void main(String[] args) throws Exception {
        Client client = new Client(args[1]);
        switch (args[0]) {
            case "create" -> client.create(args[2], Integer.parseInt(args[3]));
            case "produce" -> client.produce(args[2]);
            case "consume" -> client.consume(Integer.parseInt(args[2]), List.of(args).subList(3, args.length));
            case "seek" -> client.seek();
            case "group" -> client.group(args[2], args[3]);
            case "committed" -> client.committed(args[2]);
            case "describe" -> client.describe(args[2]);
            case "transact" -> client.transact(args[2], Integer.parseInt(args[3]));
            case "transform" -> client.transform(args[2], args[3], args[4], args[5], Integer.parseInt(args[6]));
            case "read" -> client.read(args[2], List.of(args).subList(3, args.length));
            default -> throw new IllegalArgumentException("unknown verb " + args[0]);
        }
    }

    private void create(String topic, int partitions) throws Exception {
        try (Admin admin = admin()) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
            Lines.print("created");
        }
    }

    private void produce(String topic) throws Exception {
        Map<String, Producer<byte[], byte[]>> producers = new HashMap<>();
        String line;
        for (int count = 0; (line = Lines.INPUT.readLine()) != null; count++) {
            int index = count;
            String[] fields = line.split("\t", -1);
            Long timestamp = fields[2].equals("-") ? null : Long.valueOf(fields[2]);
            var record = new ProducerRecord<>(topic, Integer.valueOf(fields[1]), timestamp, Lines.decode(fields[3]),
                Lines.decode(fields[4]), Lines.decodeHeaders(fields[5]));
            producers.computeIfAbsent(fields[0], this::producer).send(record, (metadata, error) -> Lines.print(
                error == null ? "acked\t" + index + "\t" + metadata.offset() : "failed\t" + index + "\t" + error));
        }
        producers.values().forEach(Producer::close);
    }

    private void consume(int count, List<String> topics) {
        try (var consumer = consumer(Map.of())) {
            assignFromBeginning(consumer, topics);
            for (int seen = 0; seen < count; ) {
                for (var record : consumer.poll(POLL)) {
                    Lines.printRecord(record);
                    seen++;
                }
            }
        }
    }

    private static void assignFromBeginning(KafkaConsumer<byte[], byte[]> consumer, List<String> topics) {
        List<TopicPartition> partitions = new ArrayList<>();
        for (String topic : topics) {
            consumer.partitionsFor(topic).forEach(p -> partitions.add(new TopicPartition(topic, p.partition())));
        }
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
    }

    private void seek() throws Exception {
        try (var consumer = consumer(Map.of())) {
            String line;
            while ((line = Lines.INPUT.readLine()) != null) {
                String[] fields = line.split("\t");
                var partition = new TopicPartition(fields[0], Integer.parseInt(fields[1]));
                OffsetAndTimestamp found =
                    consumer.offsetsForTimes(Map.of(partition, Long.valueOf(fields[2]))).get(partition);
                Lines.print("found\t" + (found == null ? "-" : found.offset()));
                if (found != null) {
                    consumer.assign(List.of(partition));
                    consumer.seek(partition, found.offset());
                    Lines.printRecord(firstRecord(consumer));
                }
            }
        }
    }

    private static ConsumerRecord<byte[], byte[]> firstRecord(KafkaConsumer<byte[], byte[]> consumer) {
        while (true) {
            for (var record : consumer.poll(POLL)) {
                return record;
            }
        }
    }

    private void group(String group, String topic) {
        Map<String, Object> settings = Map.of(
            ConsumerConfig.GROUP_ID_CONFIG, group,
            ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false,
            ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG, 10_000,
            ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG, 500);
        BlockingQueue<String> commands = Lines.commands();
        try (var consumer = consumer(settings)) {
            consumer.subscribe(List.of(topic));
            while (true) {
                consumer.poll(POLL).forEach(Lines::printRecord);
                String command = commands.poll();
                if ("commit".equals(command)) {
                    consumer.commitSync();
                    Lines.print("committed");
                } else if ("leave".equals(command)) {
                    break;
                }
            }
        }
        Lines.print("left");
    }

    private void committed(String group) throws Exception {
        try (Admin admin = admin()) {
            admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().forEach(
                (partition, offset) -> Lines.print("offset\t" + partition.partition() + "\t" + offset.offset()));
        }
    }

    @SuppressWarnings("removal") // 3.x has only state(), 4.x prefers groupState()
    private void describe(String group) throws Exception {
        try (Admin admin = admin()) {
            ConsumerGroupDescription description =
                admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get();
            Lines.print("group\t" + description.state() + "\t" + description.members().size());
        }
    }

    private void transact(String id, int timeoutMs) throws Exception {
        Producer<byte[], byte[]> producer = transactionalProducer(id, timeoutMs);
        Lines.print("done");
        String line;
        while ((line = Lines.INPUT.readLine()) != null) {
            String[] fields = line.split("\t");
            try {
                switch (fields[0]) {
                    case "begin" -> producer.beginTransaction();
                    case "send" -> producer.send(new ProducerRecord<>(
                        fields[1], Integer.valueOf(fields[2]), null, Lines.decode(fields[3]))).get();
                    case "commit" -> producer.commitTransaction();
                    case "abort" -> producer.abortTransaction();
                    default -> throw new IllegalArgumentException("unknown operation " + fields[0]);
                }
                Lines.print("done");
            } catch (KafkaException | ExecutionException error) {
                Lines.printRefusal(error);
            }
        }
    }

    private void transform(String id, String group, String source, String target, int count) throws Exception {
        Map<String, Object> settings = Map.of(
            ConsumerConfig.GROUP_ID_CONFIG, group,
            ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false,
            ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        try (var consumer = consumer(settings); var producer = transactionalProducer(id, 60_000)) {
            consumer.subscribe(List.of(source));
            List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
            while (records.size() < count) {
                consumer.poll(POLL).forEach(records::add);
            }
            producer.beginTransaction();
            for (var record : records) {
                Lines.printRecord(record);
                producer.send(new ProducerRecord<>(target, record.partition(), null, record.value())).get();
            }
            Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
            for (TopicPartition partition : consumer.assignment()) {
                positions.put(partition, new OffsetAndMetadata(consumer.position(partition)));
            }
            producer.sendOffsetsToTransaction(positions, consumer.groupMetadata());
            Lines.print("done");
            String command;
            while ((command = Lines.INPUT.readLine()) != null) {
                if (command.equals("commit")) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
                Lines.print("done");
            }
        }
    }

    private Producer<byte[], byte[]> transactionalProducer(String id, int timeoutMs) {
        var producer = new KafkaProducer<>(Map.<String, Object>of(
            ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap,
            ProducerConfig.TRANSACTIONAL_ID_CONFIG, id,
            ProducerConfig.TRANSACTION_TIMEOUT_CONFIG, timeoutMs), new ByteArraySerializer(), new ByteArraySerializer());
        producer.initTransactions();
        return producer;
    }

    private void read(String isolation, List<String> topics) {
        BlockingQueue<String> commands = Lines.commands();
        try (var consumer = consumer(Map.of(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_" + isolation))) {
            assignFromBeginning(consumer, topics);
            while (!"leave".equals(commands.poll())) {
                consumer.poll(POLL).forEach(Lines::printRecord);
            }
        }
        Lines.print("left");
    }

    private Admin admin() {
        return Admin.create(Map.of("bootstrap.servers", bootstrap));
    }

    /** Idempotent and acks=all by default. The linger lets records share a batch, so that compression has work to do. */
    private Producer<byte[], byte[]> producer(String codec) {
        return new KafkaProducer<>(Map.of(
            ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap,
            ProducerConfig.COMPRESSION_TYPE_CONFIG, codec,
            ProducerConfig.LINGER_MS_CONFIG, 50), new ByteArraySerializer(), new ByteArraySerializer());
    }

    private KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> settings) {
        Map<String, Object> all = new HashMap<>(settings);
        all.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        all.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        all.put(ConsumerConfig.CLIENT_ID_CONFIG, "klamm-" + UUID.randomUUID());
        return new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }
}
