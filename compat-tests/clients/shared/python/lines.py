"""The line format between the runner and the Python programs: tabs, base64 for bytes, "-" for null (../../README.md)."""

import base64
import queue
import sys
import threading
from typing import Iterator, NamedTuple, Optional

Headers = list[tuple[str, Optional[bytes]]]


class Send(NamedTuple):
    """One line of the producer's input; `timestamp` is in milliseconds, None leaves it to the client."""

    codec: str
    partition: int
    timestamp: Optional[int]
    key: Optional[bytes]
    value: Optional[bytes]
    headers: Headers


def emit(*fields) -> None:
    """Writes one line at once, whole even when several threads write."""
    sys.stdout.write("\t".join(str(field) for field in fields) + "\n")
    sys.stdout.flush()


def emit_record(topic, partition, offset, timestamp, key, value, headers) -> None:
    pairs = ",".join(f"{encode(name.encode())}:{encode(content)}" for name, content in headers or ())
    emit("record", topic, partition, offset, timestamp, encode(key), encode(value), pairs)


def emit_refusal(error: BaseException) -> None:
    """Tells of an operation that the client refused, by the class of its error and all it says, on one line."""
    emit("refused", " ".join([type(error).__name__, *str(error).split()]))


def rows() -> Iterator[list[str]]:
    """The lines of standard input, split into fields."""
    for line in sys.stdin:
        yield line.rstrip("\n").split("\t")


def parse_send(fields: list[str]) -> Send:
    codec, partition, timestamp, key, value, pairs = fields
    headers = []
    for pair in pairs.split(",") if pairs else ():
        name, content = pair.split(":")
        headers.append((decode(name).decode(), decode(content)))
    when = None if timestamp == "-" else int(timestamp)
    return Send(codec, int(partition), when, decode(key), decode(value), headers)


def commands() -> "queue.Queue[str]":
    """Standard input as a queue, for loops that must not block on it; its end reads as "leave"."""
    waiting: "queue.Queue[str]" = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            waiting.put(line.strip())
        waiting.put("leave")

    threading.Thread(target=read, daemon=True).start()
    return waiting


def next_command(waiting: "queue.Queue[str]") -> Optional[str]:
    try:
        return waiting.get_nowait()
    except queue.Empty:
        return None


def encode(content: Optional[bytes]) -> str:
    return "-" if content is None else base64.b64encode(content).decode()


def decode(field: str) -> Optional[bytes]:
    return None if field == "-" else base64.b64decode(field)
