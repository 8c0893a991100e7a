import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Runs Apache Kafka's own exactly-once programs as they are, each in a process of its own, kills some of them, and looks at
 * what they say and at what they leave behind.
 *
 * <p>{@code KafkaEos CASE BOOTSTRAP SCRATCH CLASS_PATH}: the class path is that of the programs.
 */
public final class KafkaEos implements AutoCloseable {
    private static final Duration PATIENCE = Duration.ofSeconds(150);

    private final String bootstrap;
    private final Path scratch;
    private final String classPath;
    private final List<Program> programs = new ArrayList<>();

    private KafkaEos(String bootstrap, Path scratch, String classPath) {
        this.bootstrap = bootstrap;
        this.scratch = scratch;
        this.classPath = classPath;
    }

    public static void main(String[] args) throws Exception {
        try (KafkaEos eos = new KafkaEos(args[1], Path.of(args[2]), args[3])) {
            switch (args[0]) {
                case "copier" -> eos.copiers(false);
                case "copier-group" -> eos.copiers(true);
                case "streams-smoke-exactly-once" -> eos.streamsSmoke("exactly_once_v2");
                case "streams-smoke-at-least-once" -> eos.streamsSmoke("at_least_once");
                case "streams-eos" -> eos.streamsEos(false);
                case "streams-eos-complex" -> eos.streamsEos(true);
                default -> throw new IllegalArgumentException("no case " + args[0]);
            }
        }
        System.out.println("PASSED " + args[0]);
    }

    /**
     * TransactionalMessageCopier with random aborts: the output is the input, once and in order. In groups, one of two copiers
     * is killed half-way and comes back under its transactional id.
     */
    private void copiers(boolean isGroup) throws Exception {
        int partitions = 2;
        int perPartition = 3_000;
        String group = isGroup ? "members" : "loners";
        String input = group + "-input";
        String output = group + "-output";
        createTopics(partitions, input, output);
        try (var producer = new KafkaProducer<>(clientProperties(), new StringSerializer(), new StringSerializer())) {
            for (int i = 0; i < perPartition * partitions; i++) {
                producer.send(new ProducerRecord<>(input, i % partitions, "key", Integer.toString(i)));
            }
        }
        List<Program> copiers = new ArrayList<>();
        for (int i = 0; i < partitions; i++) {
            copiers.add(copier(group, isGroup, i));
        }
        if (isGroup) {
            waitUntil("half of the input is copied", () -> committed(group, input) > perPartition);
            copiers.get(0).kill();
            copiers.set(0, copier(group, true, 0));
            waitUntil("the input is copied", () -> committed(group, input) >= perPartition * partitions);
            for (Program copier : copiers) {
                copier.terminate();
            }
        } else {
            for (Program copier : copiers) {
                copier.mustSucceed();
            }
        }
        Map<Integer, List<String>> expected = new HashMap<>();
        for (int i = 0; i < perPartition * partitions; i++) {
            expected.computeIfAbsent(i % partitions, p -> new ArrayList<>()).add(Integer.toString(i));
        }
        Map<Integer, List<String>> copied = read(output, partitions, IsolationLevel.READ_COMMITTED);
        check(expected.equals(copied), "the committed output is not the input: " + sizes(copied));
        Map<Integer, List<String>> all = read(output, partitions, IsolationLevel.READ_UNCOMMITTED);
        check(count(all) > count(copied), "no transaction was aborted: " + sizes(all));
    }

    private Program copier(String group, boolean isGroup, int number) throws IOException {
        List<String> arguments = new ArrayList<>(List.of(
            "--broker-list", bootstrap, "--input-topic", group + "-input", "--input-partition",
            Integer.toString(number), "--output-topic", group + "-output", "--consumer-group", group,
            "--transaction-size", "50", "--transactional-id", group + "-" + number, "--enable-random-aborts"));
        if (isGroup) {
            arguments.addAll(List.of("--group-mode", "--use-group-metadata"));
        }
        return start("org.apache.kafka.tools.TransactionalMessageCopier", arguments);
    }

    /** The smoke test of Streams; the only instance is killed while it works, and another one takes over. */
    private void streamsSmoke(String guarantee) throws Exception {
        createTopics(2, "data", "echo", "max", "min", "min-suppressed", "min-raw", "dif", "sum", "sws-raw", "sws-suppressed",
            "cnt", "avg", "tagg", "fk");
        String main = "org.apache.kafka.streams.tests.StreamsSmokeTest";
        Map<String, String> settings = Map.of("processing.guarantee", guarantee, "num.stream.threads", "1",
            "commit.interval.ms", "500", "session.timeout.ms", "6000", "heartbeat.interval.ms", "1000");
        Program first = start(main, List.of(properties(settings), "process"));
        first.waitFor("SMOKE-TEST-CLIENT-STARTED");
        Program driver = start(main, List.of(properties(settings), "run"));
        driver.waitFor("5000 records produced");
        first.kill();
        Program second = start(main, List.of(properties(settings), "process"));
        second.waitFor("SMOKE-TEST-CLIENT-STARTED");
        driver.mustSucceed();
        driver.mustSay("ALL-RECORDS-DELIVERED");
        driver.mustSay("SUCCESS");
        check(guarantee.equals("at_least_once") || !driver.says("PROCESSED-MORE-THAN-GENERATED"), "more than once");
        second.terminate();
        second.mustSay("SMOKE-TEST-CLIENT-CLOSED");
        check(!second.says("SMOKE-TEST-CLIENT-EXCEPTION"), "the second instance met an exception");
    }

    /** The exactly-once test of Streams, with an instance that is killed in the middle of its transactions. */
    private void streamsEos(boolean isComplex) throws Exception {
        int partitions = 2;
        createTopics(partitions, "data", "echo", "min", "sum", "repartition", "max", "cnt");
        // The program asks for three replicas of its own topics, which one server cannot give; it takes those that are there.
        for (int i = 0; i < 20; i++) {
            createTopics(partitions, "EosTest-KSTREAM-AGGREGATE-STATE-STORE-%010d-changelog".formatted(i));
        }
        String main = "org.apache.kafka.streams.tests.StreamsEosTest";
        String suffix = isComplex ? "-complex" : "";
        Map<String, String> settings = Map.of("processing.guarantee", "exactly_once_v2", "session.timeout.ms", "6000",
            "heartbeat.interval.ms", "1000");
        Program generator = start(main, List.of(properties(settings), "run"));
        Program first = start(main, List.of(properties(settings), "process" + suffix));
        first.waitFor("StateChange: REBALANCING -> RUNNING");
        generator.waitFor("2000 records produced");
        first.kill();
        Program second = start(main, List.of(properties(settings), "process" + suffix));
        second.waitFor("StateChange: REBALANCING -> RUNNING");
        generator.waitFor("5000 records produced");
        generator.terminate();
        generator.mustSay("Producer closed");
        second.terminate();
        second.mustSay("EOS-TEST-CLIENT-CLOSED");
        check(!second.says("EOS-TEST-CLIENT-EXCEPTION"), "the second instance met an exception");
        Program verifier = start(main, List.of(properties(settings), "verify" + suffix));
        verifier.mustSucceed();
        verifier.mustSay("ALL-RECORDS-DELIVERED");
        long echoed = count(read("echo", partitions, IsolationLevel.READ_COMMITTED));
        check(echoed > 2_000, "only " + echoed + " records were processed");
    }

    private void createTopics(int partitions, String... names) throws Exception {
        try (Admin admin = Admin.create(clientProperties())) {
            List<NewTopic> topics = new ArrayList<>();
            for (String name : names) {
                topics.add(new NewTopic(name, partitions, (short) 1));
            }
            admin.createTopics(topics).all().get();
        }
    }

    private long committed(String group, String topic) throws Exception {
        try (Admin admin = Admin.create(clientProperties())) {
            var offsets = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
            return offsets.entrySet().stream()
                .filter(entry -> entry.getKey().topic().equals(topic) && entry.getValue() != null)
                .mapToLong(entry -> entry.getValue().offset()).sum();
        }
    }

    /** The values of a topic by partition, up to the end that this isolation sees now. */
    private Map<Integer, List<String>> read(String topic, int partitions, IsolationLevel level) throws Exception {
        Properties properties = clientProperties();
        properties.put("isolation.level", level.toString());
        List<TopicPartition> all = new ArrayList<>();
        for (int i = 0; i < partitions; i++) {
            all.add(new TopicPartition(topic, i));
        }
        Map<Integer, List<String>> values = new HashMap<>();
        try (var consumer = new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(all);
            consumer.seekToBeginning(all);
            Map<TopicPartition, Long> ends = consumer.endOffsets(all);
            waitUntil("the end of " + topic, () -> {
                consumer.poll(Duration.ofMillis(200)).forEach(record ->
                    values.computeIfAbsent(record.partition(), p -> new ArrayList<>()).add(record.value()));
                return all.stream().allMatch(partition -> consumer.position(partition) >= ends.get(partition));
            });
        }
        return values;
    }

    private static long count(Map<Integer, List<String>> values) {
        return values.values().stream().mapToLong(List::size).sum();
    }

    private static String sizes(Map<Integer, List<String>> values) {
        Map<Integer, Integer> sizes = new HashMap<>();
        values.forEach((partition, list) -> sizes.put(partition, list.size()));
        return sizes.toString();
    }

    private Properties clientProperties() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        return properties;
    }

    private String properties(Map<String, String> settings) throws IOException {
        Properties properties = clientProperties();
        properties.putAll(settings);
        properties.put("state.dir", Files.createTempDirectory(scratch, "state").toString());
        Path file = Files.createTempFile(scratch, "streams", ".properties");
        try (var out = Files.newOutputStream(file)) {
            properties.store(out, null);
        }
        return file.toString();
    }

    private Program start(String main, List<String> arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of("java", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Djava.io.tmpdir=" + scratch, "-cp", classPath, main));
        command.addAll(arguments);
        Program program = new Program(main, command, Files.createTempFile(scratch, "program", ".log"));
        programs.add(program);
        return program;
    }

    private static void check(boolean holds, String otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise);
        }
    }

    private interface Condition {
        boolean holds() throws Exception;
    }

    private static void waitUntil(String what, Condition condition) throws Exception {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (!condition.holds()) {
            check(System.nanoTime() < deadline, "waited in vain: " + what);
            Thread.sleep(100);
        }
    }

    /** Kills what still runs and shows what everybody said. */
    @Override
    public void close() throws IOException {
        for (Program program : programs) {
            program.process.destroyForcibly();
            System.out.println("== " + program.name + " " + program.log);
            List<String> lines = program.lines();
            lines.subList(Math.max(0, lines.size() - 25), lines.size()).forEach(System.out::println);
        }
    }

    private static final class Program {
        private final String name;
        private final Path log;
        private final Process process;

        private Program(String name, List<String> command, Path log) throws IOException {
            this.name = name;
            this.log = log;
            this.process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
        }

        private List<String> lines() throws IOException {
            return new String(Files.readAllBytes(log)).lines().toList();
        }

        private boolean says(String text) throws IOException {
            return Files.readString(log).contains(text);
        }

        private void mustSay(String text) throws IOException {
            check(says(text), name + " does not say " + text);
        }

        private void waitFor(String text) throws Exception {
            waitUntil(name + " says " + text, () -> {
                check(process.isAlive() || says(text), name + " ended before it said " + text);
                return says(text);
            });
        }

        private void kill() throws InterruptedException {
            process.destroyForcibly().waitFor();
        }

        private void terminate() throws InterruptedException {
            process.destroy();
            check(process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS), name + " does not end");
        }

        private void mustSucceed() throws InterruptedException {
            check(process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS), name + " does not end");
            check(process.exitValue() == 0, name + " ended with " + process.exitValue());
        }
    }
}
