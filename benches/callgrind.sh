#!/bin/bash
# Instructions per datagram of the path without sockets (decode, engine, ACK), by valgrind's callgrind.
# Usage: benches/callgrind.sh [htb|plg|garbage|sealed]...   Needs valgrind; takes about a minute.
set -euo pipefail
cd "$(dirname "$0")/.."
bench=$(cargo bench --bench engine --no-run --message-format=json 2>/dev/null |
  sed -n 's/.*"executable":"\([^"]*engine-[^"]*\)".*/\1/p' | tail -n 1)
count() { # instructions of a run over $2 datagrams of shape $1
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" path "$1" "$2" 2>&1 |
    sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
for shape in "${@:-htb plg garbage sealed}"; do
  for one in $shape; do
    small=$(count "$one" 20000)
    large=$(count "$one" 60000)
    echo "$one: $(((large - small) / 40000)) instructions a datagram"
  done
done
