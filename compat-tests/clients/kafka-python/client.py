"""kafka-python behind the command line of ../README.md."""

import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from lines import commands, emit, emit_record, next_command, parse_send, rows

POLL_MS = 100


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
    partitions = [TopicPartition(topic, part) for topic in topics for part in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    seen = 0
    while seen < int(count):
        seen += poll(consumer)
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
        while poll(consumer) == 0:
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


def new_consumer(bootstrap, **settings):
    return KafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False, **settings)


def poll(consumer):
    """Prints what one poll brings and returns how many records that was."""
    records = [record for batch in consumer.poll(timeout_ms=POLL_MS).values() for record in batch]
    for record in records:
        emit_record(
            record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, record.headers)
    return len(records)


if __name__ == "__main__":
    verbs = [create, produce, consume, seek, group, committed, describe]
    {verb.__name__: verb for verb in verbs}[sys.argv[1]](*sys.argv[2:])
