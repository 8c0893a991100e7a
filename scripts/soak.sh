#!/usr/bin/env bash
# A long life in short: producers, transactions, consumers, compaction, retention, admin changes and random kill -9 for a
# given time, everything compared with what was acknowledged, and a verdict. Ends with an error on any anomaly.
#
#   scripts/soak.sh             an hour
#   scripts/soak.sh 300         300 seconds
#   scripts/soak.sh 300 7       with another seed than 1
#   scripts/soak.sh 300 7 --calm    and without restarts, to see whether memory or files grow
#
# KLAMM_BIN names another binary than the release build.
set -euo pipefail

root="$(cd "$(dirname "$0")/.." && pwd)"
seconds="${1:-3600}"
seed="${2:-1}"

cd "$root"
target="${CARGO_TARGET_DIR:-$root/target}"
cargo build --quiet --release -p klamm-compat-tests --bin soak
[ -n "${KLAMM_BIN:-}" ] || cargo build --quiet --release -p klamm --bin klamm

# A long run's files stay out of /tmp, which is cleaned behind its back on many machines.
export TMPDIR="$target/soak"
mkdir -p "$TMPDIR"
exec "$target/release/soak" --seconds "$seconds" --seed "$seed" "${@:3}"
