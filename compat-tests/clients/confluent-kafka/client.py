"""confluent-kafka (librdkafka) behind the command line of ../README.md."""

import sys

from confluent_kafka import OFFSET_BEGINNING, TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient, NewTopic

from lines import commands, decode, emit, emit_record, emit_refusal, next_command, parse_send, rows

POLL_SECONDS = 0.1


def create(bootstrap, topic, partitions):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, int(partitions), 1)])[topic].result()
    emit("created")


def produce(bootstrap, topic):
    producers = {}
    for index, fields in enumerate(rows()):
        send = parse_send(fields)
        if send.codec not in producers:
            producers[send.codec] = Producer({
                "bootstrap.servers": bootstrap,
                "compression.type": send.codec,
                "enable.idempotence": True,
                "linger.ms": 50,
            })
        producer = producers[send.codec]
        producer.produce(
            topic, value=send.value, key=send.key, partition=send.partition, timestamp=send.timestamp or 0,
            headers=send.headers, on_delivery=lambda error, message, index=index: emit_delivery(index, error, message),
        )
        producer.poll(0)
    for producer in producers.values():
        producer.flush()


def emit_delivery(index, error, message):
    if error:
        emit("failed", index, error)
    else:
        emit("acked", index, message.offset())


def consume(bootstrap, count, *topics):
    consumer = new_consumer(bootstrap, "unused")
    assign_from_beginning(consumer, topics)
    for _ in range(int(count)):
        emit_message(next_message(consumer))
    consumer.close()


def seek(bootstrap):
    consumer = new_consumer(bootstrap, "unused")
    for topic, partition, timestamp in rows():
        wanted = TopicPartition(topic, int(partition), int(timestamp))
        found = consumer.offsets_for_times([wanted], timeout=30)[0]
        if found.error:
            raise SystemExit(found.error)
        if found.offset < 0:  # OFFSET_END: no record is that young.
            emit("found", "-")
            continue
        emit("found", found.offset)
        consumer.assign([found])
        emit_message(next_message(consumer))
    consumer.close()


def group(bootstrap, group_id, topic):
    consumer = new_consumer(bootstrap, group_id, {
        "enable.auto.offset.store": False,
        "session.timeout.ms": 10000,
        "heartbeat.interval.ms": 500,
    })
    consumer.subscribe([topic])
    waiting = commands()
    while (command := next_command(waiting)) != "leave":
        message = consumer.poll(POLL_SECONDS)
        if message is not None and not message.error():
            emit_message(message)
            consumer.store_offsets(message)
        if command == "commit":
            consumer.commit(asynchronous=False)
            emit("committed")
    consumer.close()
    emit("left")


def committed(bootstrap, group_id, topic):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group_id)])
    for partition in asked[group_id].result().topic_partitions:
        emit("offset", partition.partition, partition.offset)


def describe(bootstrap, group_id):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    description = admin.describe_consumer_groups([group_id])[group_id].result()
    emit("group", description.state.name, len(description.members))


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
        except KafkaException as error:
            emit_refusal(error)


def transform(bootstrap, transactional_id, group_id, source, target, count):
    producer = new_transactional_producer(bootstrap, transactional_id, 60000)
    consumer = new_consumer(bootstrap, group_id)
    consumer.subscribe([source])
    messages = [next_message(consumer) for _ in range(int(count))]
    producer.begin_transaction()
    for message in messages:
        emit_message(message)
        deliver(producer, target, message.partition(), message.value())
    producer.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata())
    emit("done")
    for command, in rows():
        {"commit": producer.commit_transaction, "abort": producer.abort_transaction}[command]()
        emit("done")
    consumer.close()


def new_transactional_producer(bootstrap, transactional_id, timeout_ms):
    producer = Producer({
        "bootstrap.servers": bootstrap,
        "transactional.id": transactional_id,
        "transaction.timeout.ms": timeout_ms,
        # Has to be within the transaction's.
        "message.timeout.ms": timeout_ms,
        "linger.ms": 0,
    })
    producer.init_transactions()
    return producer


def deliver(producer, topic, partition, value):
    """Sends one record and waits for its answer."""
    answers = []
    producer.produce(topic, value=value, partition=partition, on_delivery=lambda error, _: answers.append(error))
    while not answers:
        producer.poll(POLL_SECONDS)
    if answers[0]:
        raise KafkaException(answers[0])


def read(bootstrap, isolation, *topics):
    consumer = new_consumer(bootstrap, "unused", {"isolation.level": f"read_{isolation}"})
    assign_from_beginning(consumer, topics)
    waiting = commands()
    while next_command(waiting) != "leave":
        message = consumer.poll(POLL_SECONDS)
        if message is not None and not message.error():
            emit_message(message)
    consumer.close()
    emit("left")


def new_consumer(bootstrap, group_id, settings=None):
    return Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": group_id,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        **(settings or {}),
    })


def assign_from_beginning(consumer, topics):
    partitions = []
    for topic in topics:
        known = consumer.list_topics(topic).topics[topic].partitions
        partitions += [TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in known]
    consumer.assign(partitions)


def next_message(consumer):
    while True:
        message = consumer.poll(POLL_SECONDS)
        if message is None:
            continue
        if message.error():
            raise SystemExit(message.error())
        return message


def emit_message(message):
    kind, timestamp = message.timestamp()
    emit_record(
        message.topic(), message.partition(), message.offset(), -1 if kind == TIMESTAMP_NOT_AVAILABLE else timestamp,
        message.key(), message.value(), message.headers(),
    )


if __name__ == "__main__":
    verbs = [create, produce, consume, seek, group, committed, describe, transact, transform, read]
    {verb.__name__: verb for verb in verbs}[sys.argv[1]](*sys.argv[2:])
