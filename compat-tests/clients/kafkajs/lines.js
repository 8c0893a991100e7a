// The line format between the runner and this program: tabs, base64 for bytes, "-" for null (see ../README.md).
import readline from "node:readline";

export const emit = (...fields) => process.stdout.write(fields.join("\t") + "\n");

const encode = (bytes) => (bytes == null ? "-" : Buffer.from(bytes).toString("base64"));
export const decode = (field) => (field === "-" ? null : Buffer.from(field, "base64"));

/** Tells of an operation that the client refused, by its error's name, the broker's code and all it says, on one line. */
export const emitRefusal = (error) =>
  emit("refused", `${error.name} ${error.type ?? ""} ${error.message}`.replaceAll(/\s+/g, " "));

/** The lines of standard input, split into fields. */
export async function* rows() {
  for await (const line of readline.createInterface({ input: process.stdin })) yield line.split("\t");
}

/** Reads one line of the producer's input. kafkajs takes headers as an object; a repeated key has an array of values. */
export function parseSend([codec, partition, timestamp, key, value, pairs]) {
  const headers = {};
  for (const pair of pairs ? pairs.split(",") : []) {
    const [name, content] = pair.split(":");
    const header = decode(name).toString();
    if (!(header in headers)) headers[header] = decode(content);
    else headers[header] = [headers[header], decode(content)].flat();
  }
  const message = { partition: Number(partition), key: decode(key), value: decode(value), headers };
  if (timestamp !== "-") message.timestamp = timestamp;
  return { codec, message };
}

export function emitRecord(topic, partition, message) {
  const pairs = [];
  for (const [name, content] of Object.entries(message.headers ?? {})) {
    for (const value of Array.isArray(content) ? content : [content]) pairs.push(`${encode(name)}:${encode(value)}`);
  }
  const { offset, timestamp, key, value } = message;
  emit("record", topic, partition, offset, timestamp, encode(key), encode(value), pairs.join(","));
}
