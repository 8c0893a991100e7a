#!/usr/bin/env bash
# The generated parts of the README. Each stands between `<!-- begin COMMAND -->` and `<!-- end -->` and is what
# `klamm COMMAND` prints.
#
#   scripts/readme.sh            writes them anew
#   scripts/readme.sh --check    fails when one is out of date
set -euo pipefail
cd "$(dirname "$0")/.."
klamm="${KLAMM_BIN:-${CARGO_TARGET_DIR:-target}/release/klamm}"

fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT
inside=0
while IFS= read -r line; do
  case "$line" in
    '<!-- begin '*' -->')
      echo "$line"
      read -ra command <<<"$(sed -E 's/^<!-- begin (.*) -->$/\1/' <<<"$line")"
      "$klamm" "${command[@]}"
      inside=1 ;;
    '<!-- end -->') inside=0; echo "$line" ;;
    *) [ "$inside" = 1 ] || printf '%s\n' "$line" ;;
  esac
done <README.md >"$fresh"

if [ "${1:-}" = --check ]; then
  diff -u README.md "$fresh" || { echo "README.md is out of date: run scripts/readme.sh"; exit 1; }
else
  cp "$fresh" README.md
fi
