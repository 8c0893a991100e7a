"""Kafka's console tools behind the command line of ../README.md: every verb is one or more runs of a tool.

KLAMM_COMPAT_TOOL holds the start of the command line, up to and including the class path.
"""

import os
import shlex
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from lines import commands, emit, emit_record, parse_send, rows

TOPICS = "org.apache.kafka.tools.TopicCommand"
CONFIGS = "kafka.admin.ConfigCommand"
PRODUCER = "org.apache.kafka.tools.ConsoleProducer"
CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
TRANSACTIONS = "org.apache.kafka.tools.TransactionsCommand"
FEATURES = "org.apache.kafka.tools.FeatureCommand"
OFFSETS = "org.apache.kafka.tools.GetOffsetShell"

# None of these occurs in the records of the tests; the tools know no escaping (and take the header separator as a pattern).
FIELD, RECORD, HEADER, NULL = "<~field~>", "<~record~>", "<~header~>", "<~null~>"

# The producer's own defaults would give up three retries after the broker goes away.
PATIENCE = ["--message-send-max-retries", "2147483647", "--request-timeout-ms", "10000"]


def tool(name, bootstrap, *arguments):
    return shlex.split(os.environ["KLAMM_COMPAT_TOOL"]) + [name, "--bootstrap-server", bootstrap, *arguments]


def run(name, bootstrap, *arguments):
    return subprocess.run(tool(name, bootstrap, *arguments), stdout=subprocess.PIPE, check=True).stdout.decode()


def properties(option, **settings):
    return [word for key, value in settings.items() for word in (option, f"{key.replace('_', '.')}={value}")]


def create(bootstrap, topic, partitions):
    run(TOPICS, bootstrap, "--create", "--topic", topic, "--partitions", partitions, "--replication-factor", "1")
    described = run(TOPICS, bootstrap, "--describe", "--topic", topic)
    if f"PartitionCount: {partitions}" not in described:
        raise SystemExit(described)
    emit("created")


def config(bootstrap, topic, key, value):
    """Sets a topic config and reads it back."""
    entity = ["--entity-type", "topics", "--entity-name", topic]
    run(CONFIGS, bootstrap, "--alter", *entity, "--add-config", f"{key}={value}")
    for word in run(CONFIGS, bootstrap, "--describe", *entity).split():
        if word.startswith(f"{key}="):
            emit("config", word.partition("=")[2])


def produce(bootstrap, topic):
    """ConsoleProducer says nothing about offsets; a clean end without a complaint is the acknowledgement of all records."""
    producer, codec, waiting = None, None, []
    for index, fields in enumerate(rows()):
        send = parse_send(fields)
        if send.codec != codec:
            finish(producer, waiting)
            codec, waiting = send.codec, []
            producer = subprocess.Popen(
                tool(PRODUCER, bootstrap, "--topic", topic, "--compression-codec", codec, "--timeout", "50", *PATIENCE,
                     *properties("--reader-property", parse_key="true", parse_headers="true", key_separator=FIELD,
                                 headers_delimiter=FIELD, headers_separator=HEADER, null_marker=NULL)),
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        headers = HEADER.join(f"{name}:{text(content)}" for name, content in send.headers)
        line = FIELD.join([headers or NULL, text(send.key), text(send.value)])
        producer.stdin.write(line.encode() + b"\n")
        producer.stdin.flush()
        waiting.append(index)
    finish(producer, waiting)


def finish(producer, waiting):
    if producer is None:
        return
    _, complaints = producer.communicate()
    sys.stderr.write(complaints.decode(errors="replace"))
    lost = producer.returncode != 0 or b"ERROR" in complaints
    for index in waiting:
        emit("failed", index, "see stderr") if lost else emit("acked", index, -1)


def text(content):
    return NULL if content is None else content.decode()


def consumer(bootstrap, topic, *arguments):
    return subprocess.Popen(
        tool(CONSUMER, bootstrap, "--topic", topic, *arguments, *properties(
            "--formatter-property", print_timestamp="true", print_partition="true", print_offset="true",
            print_headers="true", print_key="true", print_value="true", key_separator=FIELD, line_separator=RECORD,
            headers_separator=HEADER, null_literal=NULL)),
        stdout=subprocess.PIPE)


def consume(bootstrap, count, *topics):
    counts = dict.fromkeys(topics, 0)
    for line in run(OFFSETS, bootstrap, "--topic-partitions", ",".join(topics)).split():
        topic, _, offset = line.split(":")
        counts[topic] += int(offset)

    def read(topic):
        reader = consumer(bootstrap, topic, "--from-beginning", "--max-messages", str(counts[topic]))
        emit_records(topic, reader.stdout)
        reader.wait()

    # The output does not name the topic, so each has a run of its own.
    with ThreadPoolExecutor(max_workers=2) as pool:
        for _ in pool.map(read, topics):
            pass


def seek(bootstrap):
    for topic, partition, timestamp in rows():
        answer = run(OFFSETS, bootstrap, "--topic-partitions", f"{topic}:{partition}", "--time", timestamp).strip()
        offset = answer.rpartition(":")[2]
        if not offset:
            emit("found", "-")
            continue
        emit("found", offset)
        reader = consumer(bootstrap, topic, "--partition", partition, "--offset", offset, "--max-messages", "1")
        emit_records(topic, reader.stdout)
        reader.wait()


def group(bootstrap, group_id, topic):
    """ConsoleConsumer commits by itself only: often, and when it leaves."""
    member = consumer(bootstrap, topic, "--group", group_id, "--from-beginning", *properties(
        "--command-property", auto_commit_interval_ms=100, session_timeout_ms=10000, heartbeat_interval_ms=500))
    reader = threading.Thread(target=emit_records, args=[topic, member.stdout])
    reader.start()
    waiting = commands()
    while waiting.get() != "leave":
        emit("committed")
    member.send_signal(signal.SIGTERM)
    reader.join()
    member.wait()
    emit("left")


def committed(bootstrap, group_id, topic):
    for row in table(run(GROUPS, bootstrap, "--describe", "--group", group_id, "--offsets")):
        if row["TOPIC"] == topic:
            emit("offset", row["PARTITION"], row["CURRENT-OFFSET"])


def describe(bootstrap, group_id):
    for row in table(run(GROUPS, bootstrap, "--describe", "--group", group_id, "--state")):
        emit("group", row["STATE"], row["#MEMBERS"])


def table(printed):
    """The rows of a printed table. The state table's column "COORDINATOR (ID)" is two words in the head and in the rows."""
    lines = [line.split() for line in printed.splitlines() if line.strip()]
    head = next(line for line in lines if line[0] == "GROUP")
    return [dict(zip(head, line)) for line in lines[lines.index(head) + 1:]]


def read(bootstrap, isolation, *topics):
    readers = []
    for topic in topics:
        run = consumer(bootstrap, topic, "--from-beginning", "--isolation-level", f"read_{isolation}")
        reader = threading.Thread(target=emit_records, args=[topic, run.stdout])
        reader.start()
        readers.append((run, reader))
    waiting = commands()
    while waiting.get() != "leave":
        pass
    for run, reader in readers:
        run.send_signal(signal.SIGTERM)
        reader.join()
        run.wait()
    emit("left")


def transactions(bootstrap):
    for row in tabbed(run(TRANSACTIONS, bootstrap, "list")):
        emit("transaction", row["TransactionalId"], row["ProducerId"], row["TransactionState"])


def transaction(bootstrap, transactional_id):
    for row in tabbed(run(TRANSACTIONS, bootstrap, "describe", "--transactional-id", transactional_id)):
        emit("transaction", row["TransactionalId"], row["ProducerId"], row["TransactionState"])
        for partition in filter(None, row["TopicPartitions"].split(",")):
            emit("touches", partition)


def writers(bootstrap, topic, partition):
    place = ["--topic", topic, "--partition", partition]
    for row in tabbed(run(TRANSACTIONS, bootstrap, "describe-producers", *place)):
        start = row["CurrentTransactionStartOffset"]
        emit("writer", row["ProducerId"], -1 if start == "None" else start)


def hanging(bootstrap, broker):
    """Of any age: the tool's least is otherwise 15 minutes."""
    found = run(TRANSACTIONS, bootstrap, "find-hanging", "--broker-id", broker, "--max-transaction-timeout", "0")
    for row in tabbed(found):
        emit("hanging", row["Topic"], row["Partition"], row["ProducerId"])


def feature(bootstrap, direction, name, level):
    """Upgrades or downgrades a feature, then describes it."""
    run(FEATURES, bootstrap, direction, "--feature", f"{name}={level}")
    for line in run(FEATURES, bootstrap, "describe").splitlines():
        words = line.split()
        if words[:2] == ["Feature:", name]:
            emit("feature", name, words[words.index("FinalizedVersionLevel:") + 1])


def tabbed(printed):
    """The rows of a table whose cells are padded with blanks and end with tabs."""
    head, *lines = [[cell.strip() for cell in line.split("\t")] for line in printed.splitlines() if line.strip()]
    return [dict(zip(head, line)) for line in lines]


def emit_records(topic, stream):
    """Splits the stream at the record separator; a broken record would show as a difference."""
    buffer = b""
    while chunk := stream.read1(65536):
        *records, buffer = (buffer + chunk).split(RECORD.encode())
        for record in records:
            emit_record(topic, *parse_record(record))


def parse_record(record):
    timestamp, partition, offset, headers, key, value = record.split(FIELD.encode(), 5)
    pairs = []
    for pair in headers.split(HEADER.encode()) if headers != b"NO_HEADERS" else ():
        name, content = pair.split(b":", 1)
        pairs.append((name.decode(), null(content)))
    return after_colon(partition), after_colon(offset), after_colon(timestamp), null(key), null(value), pairs


def after_colon(field):
    return field.partition(b":")[2].decode()


def null(content):
    return None if content == NULL.encode() else content


if __name__ == "__main__":
    verbs = [create, config, produce, consume, seek, group, committed, describe, read, transactions, transaction, writers,
             hanging, feature]
    {verb.__name__: verb for verb in verbs}[sys.argv[1]](*sys.argv[2:])
