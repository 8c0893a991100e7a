"""The kcat command behind the command line of ../README.md: every verb is one or more runs of kcat."""

import re
import signal
import subprocess
import sys
import threading

from lines import commands, emit, emit_record, parse_send, rows

# Neither occurs in the records of the tests; kcat itself knows no escaping.
KEY_DELIMITER = b"\x01<key>\x02"
RECORD_DELIMITER = b"\x01<end>\x02"

# Lengths first (-1 is null), then the raw bytes.
FORMAT = "%t\\t%p\\t%o\\t%T\\t%K\\t%S\\n%k%s%h\\x01<end>\\x02"
DELIVERED = re.compile(rb"Message delivered to partition (\d+) \(offset (\d+)\)")
FAILED = re.compile(rb"Delivery failed for message: (.*)")


def kcat(bootstrap, *arguments, **settings):
    return subprocess.Popen(
        ["kcat", "-b", bootstrap, *arguments], stdout=subprocess.PIPE, stderr=sys.stderr.buffer, **settings)


def output(bootstrap, *arguments):
    run = kcat(bootstrap, *arguments)
    text, _ = run.communicate()
    if run.returncode != 0:
        raise SystemExit(run.returncode)
    return text


def create(bootstrap, topic, partitions):
    """kcat has no admin API: a question for the metadata of an unknown topic makes the broker create it."""
    known = b""
    while known.count(b"    partition ") != int(partitions):
        known = output(bootstrap, "-L", "-t", topic)
    emit("created")


class Pipe:
    """One running `kcat -P`: what it says on the command line (partition, codec, headers, -Z) holds for all its records."""

    def __init__(self, bootstrap, topic, shape):
        codec, partition, headers, empty_is_null = shape
        arguments = ["-P", "-t", topic, "-p", str(partition), "-z", codec, "-v", "-v", "-v", "-E",
                     "-X", "enable.idempotence=true", "-X", "linger.ms=50",
                     "-K", KEY_DELIMITER, "-D", RECORD_DELIMITER]
        for name, content in headers:
            arguments += ["-H", name if content is None else name.encode() + b"=" + content]
        if empty_is_null:
            arguments.append("-Z")
        self.shape = shape
        self.waiting = []
        self.process = subprocess.Popen(
            ["kcat", "-b", bootstrap, *arguments], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        self.reader = threading.Thread(target=self.read_deliveries)
        self.reader.start()

    def send(self, index, record):
        self.waiting.append(index)
        key = b"" if record.key is None else record.key + KEY_DELIMITER
        self.process.stdin.write(key + (record.value or b"") + RECORD_DELIMITER)
        self.process.stdin.flush()

    def read_deliveries(self):
        """Deliveries to one partition come in the order of sending."""
        for line in self.process.stderr:
            if delivered := DELIVERED.search(line):
                emit("acked", self.waiting.pop(0), delivered[2].decode())
            elif failed := FAILED.search(line):
                emit("failed", self.waiting.pop(0), failed[1].decode())
            else:
                sys.stderr.write(line.decode(errors="replace"))

    def close(self):
        self.process.stdin.close()
        self.reader.join()
        if self.process.wait() != 0:
            raise SystemExit(f"kcat -P ended with status {self.process.returncode}")


def produce(bootstrap, topic):
    pipes = {}
    for index, fields in enumerate(rows()):
        record = parse_send(fields)
        shape = (record.codec, record.partition, tuple(record.headers), record.value is None)
        pipe = pipes.get(record.partition)
        if pipe is None or pipe.shape != shape:
            if pipe is not None:
                pipe.close()
            pipe = pipes[record.partition] = Pipe(bootstrap, topic, shape)
        pipe.send(index, record)
    for pipe in pipes.values():
        pipe.close()


def consume(bootstrap, count, *topics):
    for topic in topics:
        reader = kcat(bootstrap, "-C", "-q", "-e", "-o", "beginning", "-t", topic, "-f", FORMAT,
                      "-X", "fetch.wait.max.ms=50")
        emit_records(reader.stdout)
        if reader.wait() != 0:
            raise SystemExit(f"kcat -C ended with status {reader.returncode}")


def seek(bootstrap):
    for topic, partition, timestamp in rows():
        answer = output(bootstrap, "-Q", "-t", f"{topic}:{partition}:{timestamp}").decode()
        offset = int(answer.rsplit(maxsplit=1)[1])
        if offset < 0:
            emit("found", "-")
            continue
        emit("found", offset)
        # The same once more in kcat's other way: start reading at a time.
        reader = kcat(bootstrap, "-C", "-q", "-c", "1", "-o", f"s@{timestamp}", "-t", topic, "-p", partition, "-f", FORMAT)
        emit_records(reader.stdout)
        reader.wait()


def group(bootstrap, group_id, topic):
    """kcat commits by itself only: often, and when it leaves."""
    member = kcat(bootstrap, "-G", group_id, "-q", "-u", "-E", "-f", FORMAT, "-X", "auto.offset.reset=earliest",
                  "-X", "auto.commit.interval.ms=100", "-X", "session.timeout.ms=10000",
                  "-X", "heartbeat.interval.ms=500", topic)
    reader = threading.Thread(target=emit_records, args=[member.stdout])
    reader.start()
    waiting = commands()
    while waiting.get() != "leave":
        emit("committed")
    member.send_signal(signal.SIGINT)
    reader.join()
    member.wait()
    emit("left")


def read(bootstrap, isolation, *topics):
    readers = []
    for topic in topics:
        run = kcat(bootstrap, "-C", "-q", "-u", "-o", "beginning", "-t", topic, "-f", FORMAT,
                   "-X", f"isolation.level=read_{isolation}")
        reader = threading.Thread(target=emit_records, args=[run.stdout])
        reader.start()
        readers.append((run, reader))
    waiting = commands()
    while waiting.get() != "leave":
        pass
    for run, reader in readers:
        run.send_signal(signal.SIGINT)
        reader.join()
        run.wait()
    emit("left")


def emit_records(stream):
    """Parses FORMAT: a line of numbers, then key and value of known lengths, then the headers up to the delimiter."""
    while line := stream.readline():
        topic, partition, offset, timestamp, key_length, value_length = line.decode().rstrip("\n").split("\t")
        key, value = read_field(stream, int(key_length)), read_field(stream, int(value_length))
        headers = b""
        while not headers.endswith(RECORD_DELIMITER):
            headers += stream.read(1)
        emit_record(topic, partition, offset, timestamp, key, value, parse_headers(headers[:-len(RECORD_DELIMITER)]))


def read_field(stream, length):
    return None if length < 0 else stream.read(length)


def parse_headers(text):
    """%h is `name=value,name=value`, raw, with NULL for null."""
    headers = []
    for pair in text.split(b",") if text else ():
        name, content = pair.split(b"=", 1)
        headers.append((name.decode(), None if content == b"NULL" else content))
    return headers


if __name__ == "__main__":
    verbs = [create, produce, consume, seek, group, read]
    {verb.__name__: verb for verb in verbs}[sys.argv[1]](*sys.argv[2:])
