// kafkajs behind the command line of ../README.md.
import { randomUUID } from "node:crypto";

import * as zstd from "@bokuweb/zstd-wasm";
import kafkajs from "kafkajs";
import snappy from "kafkajs-snappy";
import lz4 from "lz4-napi";

import { decode, emit, emitRecord, emitRefusal, parseSend, rows } from "./lines.js";

const { Kafka, CompressionCodecs, CompressionTypes, logLevel } = kafkajs;

// kafkajs brings gzip along; the other codecs are plugged in as its documentation shows.
const codec = (compress, decompress) => () => ({ compress: async ({ buffer }) => compress(buffer), decompress });
CompressionCodecs[CompressionTypes.Snappy] = snappy;
CompressionCodecs[CompressionTypes.LZ4] = codec(lz4.compressFrame, lz4.decompressFrame);
CompressionCodecs[CompressionTypes.ZSTD] = codec(
  (buffer) => Buffer.from(zstd.compress(buffer)),
  async (buffer) => Buffer.from(zstd.decompress(buffer)),
);

const COMPRESSION = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
};

// send() takes a list and makes one batch per partition of it: what is waiting is sent together, up to this many.
const MESSAGES_PER_SEND = 20;

const [verb, bootstrap, ...args] = process.argv.slice(2);
const kafka = new Kafka({
  brokers: [bootstrap],
  logLevel: logLevel.ERROR,
  // The defaults give up after about ten seconds, which a broker restart can take.
  retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 120 },
});

async function withAdmin(use) {
  const admin = kafka.admin();
  await admin.connect();
  await use(admin);
  await admin.disconnect();
}

const verbs = {
  async create(topic, partitions) {
    // kafkajs's own wait for leaders gives up when the broker has not heard of the new topic yet, which Kafka may not have.
    const topics = [{ topic, numPartitions: Number(partitions), replicationFactor: 1 }];
    await withAdmin((admin) => admin.createTopics({ topics, waitForLeaders: false }));
    emit("created");
  },

  async produce(topic) {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    let waiting = [];
    const flush = async () => {
      const [batch, compression] = [waiting, COMPRESSION[waiting[0].codec]];
      waiting = [];
      const messages = batch.map((line) => line.message);
      const answers = await producer.send({ topic, acks: -1, compression, messages });
      // The answer names only the first offset of each partition's batch.
      const next = new Map(answers.map((answer) => [answer.partition, BigInt(answer.baseOffset)]));
      for (const { index, message } of batch) {
        const offset = next.get(message.partition);
        emit("acked", index, offset);
        next.set(message.partition, offset + 1n);
      }
    };
    let index = 0;
    for await (const fields of rows()) {
      const { codec, message } = parseSend(fields);
      if (waiting.length > 0 && waiting[0].codec !== codec) await flush();
      waiting.push({ index: index++, codec, message });
      if (waiting.length === MESSAGES_PER_SEND) await flush();
    }
    if (waiting.length > 0) await flush();
    await producer.disconnect();
  },

  // A kafkajs consumer is always a group member: reading everything takes a group of its own.
  async consume(count, ...topics) {
    const consumer = kafka.consumer({ groupId: `unused-${randomUUID()}` });
    await consumer.connect();
    await consumer.subscribe({ topics, fromBeginning: true });
    let seen = 0;
    await new Promise((resolve) =>
      consumer.run({
        eachMessage: async ({ topic, partition, message }) => {
          emitRecord(topic, partition, message);
          if (++seen === Number(count)) resolve();
        },
      }),
    );
    await consumer.disconnect();
  },

  async seek() {
    for await (const [topic, partition, timestamp] of rows()) {
      await withAdmin(async (admin) => {
        const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, Number(timestamp));
        const found = offsets.find((entry) => entry.partition === Number(partition)).offset;
        // A time after the last record is answered with the end of the log.
        const ends = await admin.fetchTopicOffsets(topic);
        if (found === ends.find((entry) => entry.partition === Number(partition)).high) return emit("found", "-");
        emit("found", found);
        await readOne(topic, Number(partition), found);
      });
    }
  },

  async group(groupId, topic) {
    const consumer = kafka.consumer({ groupId, sessionTimeout: 10000, heartbeatInterval: 500 });
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    const positions = new Map();
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        emitRecord(topic, partition, message);
        positions.set(partition, (BigInt(message.offset) + 1n).toString());
      },
    });
    for await (const [command] of rows()) {
      if (command === "leave") break;
      await consumer.commitOffsets([...positions].map(([partition, offset]) => ({ topic, partition, offset })));
      emit("committed");
    }
    await consumer.disconnect();
    emit("left");
  },

  async transact(transactionalId, timeout) {
    const producer = await transactionalProducer(transactionalId, Number(timeout));
    // The producer id is asked for with the first transaction, which is begun here for the first "begin".
    let transaction = await producer.transaction();
    let isFresh = true;
    emit("done");
    const operations = {
      begin: async () => {
        if (!isFresh) transaction = await producer.transaction();
        isFresh = false;
      },
      send: (topic, partition, value) =>
        transaction.send({ topic, acks: -1, messages: [{ partition: Number(partition), value: decode(value) }] }),
      commit: () => transaction.commit(),
      abort: () => transaction.abort(),
    };
    for await (const [operation, ...args] of rows()) {
      try {
        await operations[operation](...args);
        emit("done");
      } catch (error) {
        emitRefusal(error);
      }
    }
  },

  async transform(transactionalId, consumerGroupId, source, target, count) {
    const producer = await transactionalProducer(transactionalId, 60000);
    // A consumer is gone only when its last fetch is over.
    const consumer = kafka.consumer({ groupId: consumerGroupId, maxWaitTimeInMs: 500 });
    await consumer.connect();
    await consumer.subscribe({ topics: [source], fromBeginning: true });
    const messages = [];
    const positions = new Map();
    await new Promise((resolve) =>
      consumer.run({
        autoCommit: false,
        eachMessage: async ({ topic, partition, message }) => {
          emitRecord(topic, partition, message);
          messages.push({ partition, value: message.value });
          positions.set(partition, (BigInt(message.offset) + 1n).toString());
          if (messages.length === Number(count)) resolve();
        },
      }),
    );
    const transaction = await producer.transaction();
    await transaction.send({ topic: target, acks: -1, messages });
    const partitions = [...positions].map(([partition, offset]) => ({ partition, offset }));
    await transaction.sendOffsets({ consumerGroupId, topics: [{ topic: source, partitions }] });
    emit("done");
    for await (const [command] of rows()) {
      await (command === "commit" ? transaction.commit() : transaction.abort());
      emit("done");
    }
    await consumer.disconnect();
    await producer.disconnect();
  },

  async read(isolation, ...topics) {
    const consumer = kafka.consumer({
      groupId: `unused-${randomUUID()}`, readUncommitted: isolation === "uncommitted", maxWaitTimeInMs: 500,
    });
    await consumer.connect();
    await consumer.subscribe({ topics, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ topic, partition, message }) => emitRecord(topic, partition, message),
    });
    for await (const [command] of rows()) if (command === "leave") break;
    await consumer.disconnect();
    emit("left");
  },

  async committed(groupId, topic) {
    await withAdmin(async (admin) => {
      const [entry] = await admin.fetchOffsets({ groupId, topics: [topic] });
      for (const { partition, offset } of entry.partitions) emit("offset", partition, offset);
    });
  },

  async describe(groupId) {
    await withAdmin(async (admin) => {
      const [group] = (await admin.describeGroups([groupId])).groups;
      emit("group", group.state, group.members.length);
    });
  },
};

/** As its documentation has it: idempotent, and one request in flight. */
async function transactionalProducer(transactionalId, transactionTimeout) {
  const producer = kafka.producer({ transactionalId, transactionTimeout, idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  return producer;
}

/** Prints the record at an offset: seek() works on a running consumer that owns the partition. */
async function readOne(topic, partition, offset) {
  const consumer = kafka.consumer({ groupId: `unused-${randomUUID()}` });
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await new Promise((resolve) => {
    consumer.run({
      eachMessage: async ({ partition: from, message }) => {
        if (from !== partition || message.offset !== offset) return;
        emitRecord(topic, partition, message);
        resolve();
      },
    });
    consumer.seek({ topic, partition, offset });
  });
  await consumer.disconnect();
}

await zstd.init();
await verbs[verb](...args);
// A pipe that is full takes the rest later; an exit before that would cut the last lines off.
await new Promise((flushed) => process.stdout.write("", flushed));
process.exit(0);
