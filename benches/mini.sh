#!/bin/bash
# What hbc-mini costs: size on disk, memory, threads, CPU per cycle of its plugins, time to the first datagram.
# Usage: benches/mini.sh [SECONDS]   Builds by agent-mini/build, needs python3; three minutes once built.
# A cycle is one run of every monitor plugin with its datagrams and their ACKs, here once a second; the
# heartbeat (every 30 s) and the sample of os_info are in the figure too. Quiet machines give steady figures.
# MINI=FILE measures that file, builds nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-20}
out=${CARGO_TARGET_DIR:-target}

mini=${MINI:-$out/x86_64-unknown-linux-musl/mini/hbc-mini}
if [ -z "${MINI:-}" ]; then
  agent-mini/build x86_64-unknown-linux-musl >&2
  agent-mini/build aarch64-unknown-linux-musl >&2
  cargo build --locked --bin hbd >&2
fi
mini=$(realpath "$mini")
hbd=$(realpath "$out/debug/hbd")

dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
export HOME=$dir

cat > "$dir/hbd.yaml" <<END
hb_port: 0
hb_host: 127.0.0.1
hbd_port: 0
ws_port: 0
journal_enabled: false
state_dir: $dir/state
control_socket: $dir/hbd.sock
udp_policy: open
END
: > "$dir/hbd.log"
"$hbd" -f -c "$dir/hbd.yaml" 2>> "$dir/hbd.log" &
pids+=($!)
for _ in $(seq 300); do
  server=$(sed -n 's/^ready udp=\([^ ]*\).*/\1/p' "$dir/hbd.log")
  [ -n "$server" ] && break
  sleep 0.1
done
[ -n "$server" ] || { cat "$dir/hbd.log" >&2; exit 1; }

row() { printf '%-34s %10s  %s\n' "$@"; }

# Runs with monitor plugins every second; network_monitor as $2 has it, with the key of $3. Prints the row.
cycle() {
  local label=$1 network=$2 key=${3:-} pid before after faults_before faults_after
  cat > "$dir/hbc.json" <<END
{${key:+"\"key_file\": \"$key\","} "name": "mini", "plugins": {"cpu_monitor": {"interval": 1}, "memory_monitor": {"interval": 1},
 "disk_monitor": {"interval": 1}, "network_monitor": $network}}
END
  "$mini" -c "$dir/hbc.json" "$server" 2>/dev/null &
  pid=$!
  pids+=("$pid")
  sleep 6
  read -r before _ < "/proc/$pid/schedstat"
  faults_before=$(cut -d ' ' -f 10 "/proc/$pid/stat")
  sleep "$seconds"
  read -r after _ < "/proc/$pid/schedstat"
  faults_after=$(cut -d ' ' -f 10 "/proc/$pid/stat")
  row "$label" "$(((after - before) / seconds / 1000)) us" \
    "$(((faults_after - faults_before) / seconds)) page faults"
  rss=$(sed -n 's/^VmRSS:[[:space:]]*//p' "/proc/$pid/status")
  threads=$(sed -n 's/^Threads:[[:space:]]*//p' "/proc/$pid/status")
  kill "$pid"
}

# With the intervals that it has unless told otherwise, after everything has run once.
at_rest() {
  local pid before after
  echo '{"name": "rest"}' > "$dir/hbc.json"
  "$mini" -c "$dir/hbc.json" "$server" 2>/dev/null &
  pid=$!
  pids+=("$pid")
  sleep 10
  read -r before _ < "/proc/$pid/schedstat"
  sleep 60
  read -r after _ < "/proc/$pid/schedstat"
  # Two heartbeats a minute; of the 300 s between two runs of the plugins, this is a fifth without one.
  row 'CPU between plugins, at rest' "$(((after - before) / 60)) ns" "a second"
  kill "$pid"
}

row 'size, x86_64' "$(stat -c %s "$mini") B" ''
row 'size, aarch64' "$(stat -c %s "$out/aarch64-unknown-linux-musl/mini/hbc-mini") B" ''
cycle 'CPU a cycle' '{"interval": 1}'
cycle 'CPU a cycle, all as text' '{"interval": 1, "include": ["eth0", "en*"]}'
row 'VmRSS, all plugins run' "$rss" ''
"$hbd" -c "$dir/hbd.yaml" key new sealed > "$dir/hb.key"
chmod 600 "$dir/hb.key"
cycle 'CPU a cycle, sealed' '{"interval": 1}' "$dir/hb.key"
row 'VmRSS, sealed' "$rss" ''
at_rest
row 'threads' "$threads" ''

python3 - "$mini" <<'END'
import os, socket, statistics, sys, time
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("127.0.0.1", 0))
listener.settimeout(5)
took = []
for _ in range(30):
    words = [sys.argv[1], "127.0.0.1:%d" % listener.getsockname()[1]]
    began = time.monotonic()
    pid = os.posix_spawn(words[0], words, {"HOME": "/nonexistent"},
                         file_actions=[(os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)])
    listener.recv(2048)
    took.append((time.monotonic() - began) * 1e3)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    listener.setblocking(False)
    try:
        while listener.recv(2048):
            pass
    except BlockingIOError:
        listener.settimeout(5)
print("%-34s %10s  %s" % ("exec to first datagram", "%.2f ms" % statistics.median(took),
                          "median of 30, worst %.2f ms" % max(took)))
END
