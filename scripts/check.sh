#!/usr/bin/env bash
# Everything that must hold before a change lands: formatting, lints, unit and integration tests, and real clients
# against the release binary. Installs what it needs by package name; a tool that cannot be installed is a failure.
#
#   scripts/check.sh            all of it
#   scripts/check.sh quick      without the real clients
set -euo pipefail
cd "$(dirname "$0")/.."

export KLAMM_COMPAT_CACHE="${KLAMM_COMPAT_CACHE:-$PWD/.cache}"
logs="$KLAMM_COMPAT_CACHE/logs"
kafka_version=4.3.1
mkdir -p "$logs"
failed=0
started=$SECONDS

say() { printf '\n== %s (%d s)\n' "$*" "$((SECONDS - started))"; }

# step NAME COMMAND...: runs a command and remembers a failure.
step() {
  local name=$1; shift
  say "$name"
  if ! "$@"; then echo "FAILED: $name"; failed=1; fi
}

# again COMMAND...: runs a command, and once more when it fails. For stock clients, whose own timeouts can run out on a busy
# machine; both runs stand in the output.
again() { "$@" || { echo "once more:"; "$@"; }; }

# behind NAME COMMAND...: the same in the background, its output kept in a log.
declare -A running=()
behind() {
  local name=$1; shift
  "$@" >"$logs/$name.log" 2>&1 &
  running[$name]=$!
}

# joined NAME: waits for a command that runs behind and shows the end of its log.
joined() {
  local name=$1 status=0
  wait "${running[$name]}" || status=$?
  say "$name"
  if [ "$status" -ne 0 ]; then
    tail -n 60 "$logs/$name.log"; echo "FAILED: $name (all of it: $logs/$name.log)"; failed=1
  else
    tail -n 12 "$logs/$name.log"
  fi
}

# Clients and suites one after the other: both may ask the system's package manager, which serves one at a time.
install_clients() {
  target/release/scenarios --install-only && target/release/suites --build-only && target/release/faults --install-only
}

finish() {
  say "done"
  if [ "$failed" -ne 0 ]; then echo "something FAILED, see above"; exit 1; fi
  echo "all checks passed"
}

if [ "${1:-all}" != quick ]; then
  cargo build --quiet --release -p klamm-compat-tests
  behind install install_clients
fi
step "formatting" cargo fmt --all --check
step "lints" cargo clippy --workspace --all-targets --quiet -- -D warnings
if [ "${1:-all}" != quick ]; then
  # The message schemas of Apache Kafka, which a test compares the codec's tables with.
  export KLAMM_KAFKA_SCHEMAS="$KLAMM_COMPAT_CACHE/schemas/kafka-clients-$kafka_version.jar"
  step "schemas" mvn -q -B dependency:copy -Dartifact="org.apache.kafka:kafka-clients:$kafka_version" \
    -DoutputDirectory="$KLAMM_COMPAT_CACHE/schemas"
else
  export KLAMM_NO_SCHEMAS=1
fi
step "unit and integration tests" cargo test --workspace --quiet
step "release build" cargo build --quiet --release
step "README" scripts/readme.sh --check
[ "${1:-all}" = quick ] && { finish; exit; }

joined install
behind differential target/release/differential --seed 1 --requests 4000 --left kafka --right klamm --require 99.5
behind faults again target/release/faults
step "client scenarios" again target/release/scenarios
joined faults
joined differential
behind swap again target/release/swap
step "upstream suites" target/release/suites
joined swap
step "transactions under fire" target/release/torture --kills 15 --seconds 40
finish
