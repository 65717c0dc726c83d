#!/bin/bash
# What a request costs the server, against nginx that serves the same bytes as a file, in the same run.
#
#   benches/front.sh [HBD]        (needs: nginx, wrk, curl, python3; a release build)
#
# Prints CPU microseconds a request (user and system, of all threads and processes of the server) and their ratio.
set -euo pipefail
cd "$(dirname "$0")/.."
hbd=$(realpath "${1:-target/release/hbd}")
dir=$(mktemp -d)
chmod 711 "$dir" # nginx reads as another user
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$dir"' EXIT
hosts=1000 seconds=5 connections=8

cat > "$dir/hbd.yaml" <<EOF
hb_port: 0
hb_host: 127.0.0.1
hbd_port: 0
ws_port: null
state_dir: $dir/state
control_socket: $dir/hbd.sock
journal_enabled: false
EOF
"$hbd" -f -c "$dir/hbd.yaml" 2> "$dir/log" &
pids+=($!)
until grep -q '^ready ' "$dir/log"; do sleep 0.1; done
udp=$(grep -o 'udp=[^ ]*' "$dir/log" | cut -d: -f2)
http=$(grep -o 'http=[^ ]*' "$dir/log" | cut -d: -f2)
python3 - "$udp" "$hosts" <<'EOF'
import socket, sys, time
to, n = ("127.0.0.1", int(sys.argv[1])), int(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(n):
    s.sendto(b'{"ID":"HTB","name":"host-%d","interval":3600,"rtt":1.5}' % i, to)
    time.sleep(0.021)
EOF

# Clock ticks of a process, and of its children that still run.
ticks() {
  local pid sum=0
  for pid in "$@"; do
    sum=$((sum + $(awk '{print $14 + $15}' "/proc/$pid/stat")))
  done
  echo "$sum"
}
tick_us=$((1000000 / $(getconf CLK_TCK)))

# measure URL PID..: microseconds of CPU a request, and requests a second.
measure() {
  local url=$1 before after out requests
  shift
  wrk -t1 -c"$connections" -d1s "$url" > /dev/null
  before=$(ticks "$@")
  out=$(wrk -t1 -c"$connections" -d"${seconds}s" "$url")
  after=$(ticks "$@")
  requests=$(awk '/requests in/ {print $1}' <<< "$out")
  if grep -q 'Non-2xx' <<< "$out"; then echo "$out" >&2; exit 1; fi
  echo "$(((after - before) * tick_us)) $requests"
}

for path in '/api/0/hosts?limit=50' /live; do
  mkdir -p "$dir/www"
  curl -sS "http://127.0.0.1:$http$path" > "$dir/www/body"
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  cat > "$dir/nginx.conf" <<EOF
pid $dir/nginx.pid;
error_log $dir/nginx.log;
worker_processes 1;
daemon off;
events { worker_connections 256; }
http {
  access_log off;
  keepalive_requests 100;
  default_type text/html;
  server { listen 127.0.0.1:$port; root $dir/www; }
}
EOF
  nginx -c "$dir/nginx.conf" -e "$dir/nginx.log" &
  master=$!
  pids+=("$master")
  until curl -sfo /dev/null "http://127.0.0.1:$port/body"; do sleep 0.1; done
  read -r nginx_us nginx_n <<< "$(measure "http://127.0.0.1:$port/body" $(pgrep -P "$master"))"
  read -r hbd_us hbd_n <<< "$(measure "http://127.0.0.1:$http$path" "${pids[0]}")"
  kill "$master"
  wait "$master" 2>/dev/null || true
  awk -v p="$path" -v b="$(stat -c %s "$dir/www/body")" -v a="$hbd_us" -v n="$hbd_n" -v c="$nginx_us" -v m="$nginx_n" \
    'BEGIN { printf "%-24s %6d bytes: hbd %.1f us, nginx %.1f us a request: %.1f times\n", p, b, a / n, c / m, (a / n) / (c / m) }'
done
