"""kafka-python behind the command line of ../README.md."""

import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from lines import commands, decode, emit, emit_record, emit_refusal, next_command, parse_send, rows

POLL_MS = 100

# A poll that ends just before the answer to its SyncGroup comes forgets the assignment for good.
POLL_MS_FOR_ASSIGNMENT = 30000


def create(bootstrap, topic, partitions):
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics({topic: {"num_partitions": int(partitions), "replication_factor": 1}})
    admin.close()
    emit("created")


def produce(bootstrap, topic):
    producers = {}
    for index, fields in enumerate(rows()):
        send = parse_send(fields)
        if send.codec not in producers:
            # Idempotent and acks=all by default.
            producers[send.codec] = KafkaProducer(
                bootstrap_servers=bootstrap, linger_ms=50,
                compression_type=None if send.codec == "none" else send.codec,
            )
        future = producers[send.codec].send(
            topic, value=send.value, key=send.key, headers=send.headers, partition=send.partition,
            timestamp_ms=send.timestamp,
        )
        future.add_callback(lambda metadata, index=index: emit("acked", index, metadata.offset))
        future.add_errback(lambda error, index=index: emit("failed", index, repr(error)))
    for producer in producers.values():
        producer.flush()
        producer.close()


def consume(bootstrap, count, *topics):
    consumer = new_consumer(bootstrap)
    assign_from_beginning(consumer, topics)
    seen = 0
    while seen < int(count):
        seen += len(poll(consumer))
    consumer.close()


def seek(bootstrap):
    consumer = new_consumer(bootstrap, max_poll_records=1)
    for topic, number, timestamp in rows():
        partition = TopicPartition(topic, int(number))
        found = consumer.offsets_for_times({partition: int(timestamp)})[partition]
        if found is None:
            emit("found", "-")
            continue
        emit("found", found.offset)
        consumer.assign([partition])
        consumer.seek(partition, found.offset)
        while not poll(consumer):
            pass
    consumer.close()


def group(bootstrap, group_id, topic):
    consumer = new_consumer(bootstrap, group_id=group_id, session_timeout_ms=10000, heartbeat_interval_ms=500)
    consumer.subscribe([topic])
    waiting = commands()
    while (command := next_command(waiting)) != "leave":
        poll(consumer)
        if command == "commit":
            consumer.commit()
            emit("committed")
    consumer.close()
    emit("left")


def committed(bootstrap, group_id, topic):
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    for partition, found in admin.list_group_offsets(group_id)[group_id].items():
        emit("offset", partition.partition, found.offset)
    admin.close()


def describe(bootstrap, group_id):
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    description = admin.describe_groups([group_id])[group_id]
    emit("group", description["group_state"], len(description["members"]))
    admin.close()


def transact(bootstrap, transactional_id, timeout_ms):
    producer = new_transactional_producer(bootstrap, transactional_id, int(timeout_ms))
    emit("done")
    operations = {
        "begin": producer.begin_transaction,
        "send": lambda topic, partition, value: deliver(producer, topic, int(partition), decode(value)),
        "commit": producer.commit_transaction,
        "abort": producer.abort_transaction,
    }
    for operation, *arguments in rows():
        try:
            operations[operation](*arguments)
            emit("done")
        except KafkaError as error:
            emit_refusal(error)


def transform(bootstrap, transactional_id, group_id, source, target, count):
    producer = new_transactional_producer(bootstrap, transactional_id, 60000)
    consumer = new_consumer(bootstrap, group_id=group_id)
    consumer.subscribe([source])
    records = []
    while len(records) < int(count):
        records += poll(consumer, POLL_MS_FOR_ASSIGNMENT)
    producer.begin_transaction()
    for record in records:
        deliver(producer, target, record.partition, record.value)
    positions = {part: OffsetAndMetadata(consumer.position(part), "", -1) for part in consumer.assignment()}
    producer.send_offsets_to_transaction(positions, consumer.group_metadata())
    emit("done")
    for command, in rows():
        {"commit": producer.commit_transaction, "abort": producer.abort_transaction}[command]()
        emit("done")
    consumer.close()
    producer.close()


def new_transactional_producer(bootstrap, transactional_id, timeout_ms):
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, transactional_id=transactional_id, transaction_timeout_ms=timeout_ms)
    producer.init_transactions()
    return producer


def deliver(producer, topic, partition, value):
    """Sends one record and waits for its answer."""
    producer.send(topic, value=value, partition=partition).get()


def read(bootstrap, isolation, *topics):
    consumer = new_consumer(bootstrap, isolation_level=f"read_{isolation}")
    assign_from_beginning(consumer, topics)
    waiting = commands()
    while next_command(waiting) != "leave":
        poll(consumer)
    consumer.close()
    emit("left")


def new_consumer(bootstrap, **settings):
    return KafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False, **settings)


def assign_from_beginning(consumer, topics):
    partitions = [TopicPartition(topic, part) for topic in topics for part in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()


def poll(consumer, wait_ms=POLL_MS):
    """Prints and returns the records that one poll brings."""
    records = [record for batch in consumer.poll(timeout_ms=wait_ms).values() for record in batch]
    for record in records:
        emit_record(
            record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, record.headers)
    return records


if __name__ == "__main__":
    verbs = [create, produce, consume, seek, group, committed, describe, transact, transform, read]
    {verb.__name__: verb for verb in verbs}[sys.argv[1]](*sys.argv[2:])
