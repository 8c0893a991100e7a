#!/usr/bin/env bash
# Measures on this machine what the same work costs on Apache Kafka 4.3.1, on Klamm and on a bare server, and prints
# Markdown tables: works driven by a raw load generator; the same with kafka-producer-perf-test, kafka-consumer-perf-test
# and librdkafka's rdkafka_performance; how the cost grows with partitions, connections, groups and the length of the log.
# Builds what it needs, and fetches Apache Kafka from Maven Central and librdkafka from crates.io.
#
#   scripts/bench.sh                    all of it, about half an hour
#   scripts/bench.sh --quick            rough numbers in five minutes, without growth
#   scripts/bench.sh --tools            only the tools; --no-tools: everything else
#   scripts/bench.sh --only produce     works by their key; more: scripts/bench.sh --help
#
# The data goes to $TMPDIR, up to half of what is free there (--log-gb bounds it). Nothing else should run on the machine.
set -euo pipefail
cd "$(dirname "$0")/.."

export KLAMM_COMPAT_CACHE="${KLAMM_COMPAT_CACHE:-$PWD/.cache}"
target="${CARGO_TARGET_DIR:-target}"

cargo build --quiet --profile dist -p klamm
cargo build --quiet --release -p klamm-compat-tests --bin bench --bin bare_server

model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
file_system=$(df --output=fstype "${TMPDIR:-/tmp}" | tail -n 1)
printf '%s, %s cores, %s GB, Linux %s, %s; %s; %s\n\n' "$model" "$(nproc)" \
  "$(free -g | awk '/^Mem/ { print $2 }')" "$(uname -r)" "$file_system" \
  "$(java -version 2>&1 | head -n 1)" "load before the run $(cut -d ' ' -f 1-3 /proc/loadavg)"
exec "$target/release/bench" "$@"
