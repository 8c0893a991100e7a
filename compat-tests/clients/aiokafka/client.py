"""aiokafka behind the command line of ../README.md."""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from lines import commands, decode, emit, emit_record, emit_refusal, next_command, parse_send, rows

POLL_MS = 100


async def create(bootstrap, topic, partitions):
    async with admin(bootstrap) as client:
        response = await client.create_topics([NewTopic(topic, int(partitions), 1)])
        for _, code, message in response.topic_errors:
            if code != 0:
                raise SystemExit(f"error {code}: {message}")
    emit("created")


async def produce(bootstrap, topic):
    producers, deliveries, index = {}, [], 0
    async for fields in rows_beside():
        send = parse_send(fields)
        if send.codec not in producers:
            producers[send.codec] = AIOKafkaProducer(
                bootstrap_servers=bootstrap, enable_idempotence=True, linger_ms=50,
                compression_type=None if send.codec == "none" else send.codec,
            )
            await producers[send.codec].start()
        delivery = await producers[send.codec].send(
            topic, value=send.value, key=send.key, headers=send.headers, partition=send.partition,
            timestamp_ms=send.timestamp,
        )
        delivery.add_done_callback(lambda done, index=index: emit_delivery(index, done))
        deliveries.append(delivery)
        index += 1
    await asyncio.wait(deliveries)
    for producer in producers.values():
        await producer.stop()


def emit_delivery(index, delivery):
    if delivery.exception() is not None:
        emit("failed", index, repr(delivery.exception()))
    else:
        emit("acked", index, delivery.result().offset)


async def consume(bootstrap, count, *topics):
    async with new_consumer(bootstrap) as consumer:
        await assign_from_beginning(bootstrap, consumer, topics)
        seen = 0
        while seen < int(count):
            seen += len(await poll(consumer))


async def seek(bootstrap):
    async with new_consumer(bootstrap) as consumer:
        for topic, number, timestamp in rows():
            partition = TopicPartition(topic, int(number))
            consumer.assign([partition])
            found = (await consumer.offsets_for_times({partition: int(timestamp)}))[partition]
            if found is None:
                emit("found", "-")
                continue
            emit("found", found.offset)
            consumer.seek(partition, found.offset)
            emit_message(await consumer.getone())


async def group(bootstrap, group_id, topic):
    waiting = commands()
    consumer = new_consumer(
        bootstrap, topic, group_id=group_id, session_timeout_ms=10000, heartbeat_interval_ms=500)
    async with consumer:
        while (command := next_command(waiting)) != "leave":
            await poll(consumer)
            if command == "commit":
                await consumer.commit()
                emit("committed")
    emit("left")


async def committed(bootstrap, group_id, topic):
    async with admin(bootstrap) as client:
        for partition, found in (await client.list_consumer_group_offsets(group_id)).items():
            emit("offset", partition.partition, found.offset)


async def describe(bootstrap, group_id):
    async with admin(bootstrap) as client:
        for response in await client.describe_consumer_groups([group_id]):
            for code, _, state, _, _, members, *_ in response.groups:
                if code != 0:
                    raise SystemExit(f"error {code}")
                emit("group", state, len(members))


async def transact(bootstrap, transactional_id, timeout_ms):
    producer = await new_transactional_producer(bootstrap, transactional_id, int(timeout_ms))
    emit("done")
    operations = {
        "begin": producer.begin_transaction,
        "send": lambda topic, partition, value: producer.send_and_wait(
            topic, value=decode(value), partition=int(partition)),
        "commit": producer.commit_transaction,
        "abort": producer.abort_transaction,
    }
    async for operation, *arguments in rows_beside():
        try:
            await operations[operation](*arguments)
            emit("done")
        except KafkaError as error:
            emit_refusal(error)


async def transform(bootstrap, transactional_id, group_id, source, target, count):
    producer = await new_transactional_producer(bootstrap, transactional_id, 60000)
    async with new_consumer(bootstrap, source, group_id=group_id) as consumer:
        records = []
        while len(records) < int(count):
            records += await poll(consumer)
        await producer.begin_transaction()
        for record in records:
            await producer.send_and_wait(target, value=record.value, partition=record.partition)
        positions = {part: await consumer.position(part) for part in consumer.assignment()}
        await producer.send_offsets_to_transaction(positions, group_id)
        emit("done")
        async for command, in rows_beside():
            await {"commit": producer.commit_transaction, "abort": producer.abort_transaction}[command]()
            emit("done")
    await producer.stop()


async def new_transactional_producer(bootstrap, transactional_id, timeout_ms):
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, transactional_id=transactional_id, transaction_timeout_ms=timeout_ms)
    await producer.start()
    return producer


async def read(bootstrap, isolation, *topics):
    waiting = commands()
    async with new_consumer(bootstrap, isolation_level=f"read_{isolation}") as consumer:
        await assign_from_beginning(bootstrap, consumer, topics)
        while next_command(waiting) != "leave":
            await poll(consumer)
    emit("left")


async def rows_beside():
    """Reads standard input beside the event loop, so that the client works on while the runner writes or waits."""
    lines = iter(rows())
    while (fields := await asyncio.to_thread(next, lines, None)) is not None:
        yield fields


class admin:
    """The admin client has start and close but is no context manager."""

    def __init__(self, bootstrap):
        self.client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)

    async def __aenter__(self):
        await self.client.start()
        return self.client

    async def __aexit__(self, *_):
        await self.client.close()


def new_consumer(bootstrap, *topics, **settings):
    return AIOKafkaConsumer(
        *topics, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False, **settings)


async def assign_from_beginning(bootstrap, consumer, topics):
    partitions = []
    async with admin(bootstrap) as client:
        for topic in await client.describe_topics(list(topics)):
            partitions += [TopicPartition(topic["topic"], part["partition"]) for part in topic["partitions"]]
    consumer.assign(partitions)
    await consumer.seek_to_beginning()


async def poll(consumer):
    """Prints and returns the records that one poll brings."""
    batches = await consumer.getmany(timeout_ms=POLL_MS)
    records = [record for batch in batches.values() for record in batch]
    for record in records:
        emit_message(record)
    return records


def emit_message(record):
    emit_record(
        record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, record.headers)


if __name__ == "__main__":
    verbs = [create, produce, consume, seek, group, committed, describe, transact, transform, read]
    asyncio.run({verb.__name__: verb for verb in verbs}[sys.argv[1]](*sys.argv[2:]))
