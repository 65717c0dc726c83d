#!/bin/bash
# hbc-mini beside other agents of Debian: size on disk, resident memory, CPU time of a cycle.
# Usage: benches/compare.sh [SECONDS] [NAME...]   Needs Debian with apt-get, python3; installs nothing: packages are
# unpacked below target/compare and run from there, in the foreground, without a service being started.
#
# A cycle is one collection of what each agent collects by itself of processor, memory, disks and network, and its
# delivery over loopback, once a second. Time is the CPU time of all its threads by /proc/PID/task/*/schedstat, so
# other work on the machine does not count. node_exporter, zabbix-agent and snmpd collect when they are asked: a client
# asks once a second, and its own time is not counted; of the latter two it asks about what hbc-mini sends.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-20}
shift || true
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(hbc-mini node_exporter zabbix-agent collectd monit snmpd gmond psutil)
out=$(realpath "${CARGO_TARGET_DIR:-target}")
root=$out/compare/root
packages=(prometheus-node-exporter zabbix-agent collectd-core monit ganglia-monitor snmpd snmp python3-psutil)

unpack() {
  local cache=$out/compare/cache package
  mkdir -p "$cache" "$root"
  for package in "${packages[@]}"; do
    [ -e "$out/compare/$package.done" ] && continue
    # With all that it depends on and that is not installed here.
    mapfile -t wanted < <(apt-get install -s --no-install-recommends "$package" | sed -n 's/^Inst \([^ ]*\).*/\1/p')
    (cd "$cache" && apt-get download -qq "${wanted[@]:-$package}")
    for file in "$cache"/*.deb; do dpkg -x "$file" "$root"; done
    rm -f "$cache"/*.deb
    touch "$out/compare/$package.done"
  done
}

dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null; rm -rf "$dir"' EXIT
libs=$(find "$root" -type d \( -path '*/lib/*-linux-gnu' -o -path '*/lib/ganglia' \) 2>/dev/null | paste -sd:) || true

cpu() {
  local sum=0 ns
  for task in /proc/"$1"/task/*/schedstat; do
    read -r ns _ < "$task" && sum=$((sum + ns))
  done
  echo "$sum"
}

# Measures a process that runs: label, pid, size of its file.
measure() {
  local label=$1 pid=$2 size=$3 before after rss
  sleep 4
  if ! kill -0 "$pid" 2>/dev/null; then
    printf '%-14s did not stay up\n' "$label"
    return
  fi
  before=$(cpu "$pid")
  sleep "$seconds"
  after=$(cpu "$pid")
  rss=$(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$pid/status")
  printf '%-14s %7d kB %8d kB %9d us\n' "$label" "$((size / 1000))" "$rss" "$(((after - before) / seconds / 1000))"
  kill "$pid" 2>/dev/null || true
}

# A datagram sink that counts nothing and answers nothing.
# Its port is in $sink.
start_sink() {
  python3 - "$dir/port" <<'END' &
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
open(sys.argv[1] + ".new", "w").write(str(s.getsockname()[1]))
import os
os.rename(sys.argv[1] + ".new", sys.argv[1])
while True:
    s.recv(65536)
END
  pids+=($!)
  until [ -s "$dir/port" ]; do sleep 0.1; done
  sink=$(cat "$dir/port")
}

free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }
# zabbix-agent takes none above 32767.
low_port() {
  python3 - <<'END'
import random, socket
while True:
    port = random.randrange(20000, 32000)
    try:
        with socket.socket() as s:
            s.bind(("127.0.0.1", port))
        print(port)
        break
    except OSError:
        pass
END
}
size_of() { stat -Lc %s "$@" | awk '{sum += $1} END {print sum}'; }
program() { find "$root" -type f -path '*bin/*' -name "$1" -perm -u+x | head -n 1; }

run_hbc_mini() {
  local binary=$out/x86_64-unknown-linux-musl/mini/hbc-mini sink=$1
  [ -x "$binary" ] || agent-mini/build x86_64-unknown-linux-musl >&2
  cat > "$dir/hbc.json" <<END
{"name": "mini", "plugins": {"cpu_monitor": {"interval": 1}, "memory_monitor": {"interval": 1},
 "disk_monitor": {"interval": 1}, "network_monitor": {"interval": 1}}}
END
  python3 - "$dir/ack" <<'END' &
import json, os, socket, sys, zlib
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
open(sys.argv[1] + ".new", "w").write(str(s.getsockname()[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])
while True:
    data, peer = s.recvfrom(65536)
    text = data if data[:1] == b"{" else zlib.decompress(data)
    s.sendto(b'{"ID":"ACK","ack":%d}' % json.loads(text)["seq"], peer)
END
  pids+=($!)
  until [ -s "$dir/ack" ]; do sleep 0.1; done
  HOME=$dir "$binary" -c "$dir/hbc.json" "127.0.0.1:$(cat "$dir/ack")" 2>/dev/null &
  pids+=($!)
  measure hbc-mini $! "$(size_of "$binary")"
}

run_node_exporter() {
  local binary port
  binary=$(program prometheus-node-exporter)
  port=$(free_port)
  "$binary" --web.listen-address="127.0.0.1:$port" >/dev/null 2>&1 &
  local pid=$!
  pids+=("$pid")
  (while sleep 1; do
    python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$port/metrics').read()" 2>/dev/null || true
  done) &
  pids+=($!)
  measure node_exporter "$pid" "$(size_of "$binary")"
}

run_zabbix_agent() {
  local binary port
  binary=$(program zabbix_agentd)
  port=$(low_port)
  cat > "$dir/zabbix.conf" <<END
Server=127.0.0.1
ListenIP=127.0.0.1
ListenPort=$port
LogType=console
AllowRoot=1
StartAgents=1
PidFile=$dir/zabbix.pid
END
  LD_LIBRARY_PATH=$libs "$binary" -f -c "$dir/zabbix.conf" >/dev/null 2>&1 &
  local pid=$!
  pids+=("$pid")
  python3 - "$port" <<'END' >/dev/null 2>&1 &
import socket, struct, sys, time
items = ["system.cpu.util[,idle]", "system.cpu.util[,user]", "system.cpu.util[,system]", "system.cpu.util[,iowait]",
         "system.cpu.load[,avg1]", "system.cpu.load[,avg5]", "system.cpu.load[,avg15]", "system.uptime",
         "vm.memory.size[available]", "vm.memory.size[total]", "system.swap.size[,pused]",
         "vfs.fs.size[/,pused]", "vfs.fs.inode[/,pused]", "vfs.dev.read[]", "vfs.dev.write[]",
         "net.if.in[lo]", "net.if.out[lo]"]
while True:
    time.sleep(1)
    for item in items:
        try:
            s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2)
            data = item.encode()
            s.sendall(b"ZBXD\x01" + struct.pack("<Q", len(data)) + data)
            while s.recv(4096):
                pass
        except OSError:
            pass
END
  pids+=($!)
  measure_group zabbix-agent "$pid" "$(size_of "$binary")"
}

# As measure, for a program of several processes.
measure_group() {
  local label=$1 pid=$2 size=$3 before=0 after=0 rss=0 member
  sleep 4
  if ! kill -0 "$pid" 2>/dev/null; then
    printf '%-14s did not stay up\n' "$label"
    return
  fi
  local members
  members="$pid $(pgrep -P "$pid" || true)"
  for member in $members; do before=$((before + $(cpu "$member"))); done
  sleep "$seconds"
  for member in $members; do
    after=$((after + $(cpu "$member")))
    rss=$((rss + $(sed -n 's/^Pss:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$member/smaps_rollup" || echo 0)))
  done
  printf '%-14s %7d kB %8d kB %9d us\n' "$label" "$((size / 1000))" "$rss" "$(((after - before) / seconds / 1000))"
  kill "$pid" 2>/dev/null || true
}

run_collectd() {
  local binary plugins sink=$1
  binary=$(find "$root" -type f -path '*bin/collectd*' -perm -u+x | head -n 1)
  plugins=$(dirname "$(find "$root" -name load.so -path '*collectd*' | head -n 1)")
  {
    echo "Interval 1"
    echo "BaseDir \"$dir\""
    echo "PIDFile \"$dir/collectd.pid\""
    echo "PluginDir \"$plugins\""
    echo "TypesDB \"$(find "$root" -name types.db | head -n 1)\""
    for plugin in cpu memory swap load uptime df disk interface network; do echo "LoadPlugin $plugin"; done
    echo "<Plugin network>"
    echo "Server \"127.0.0.1\" \"$sink\""
    echo "</Plugin>"
  } > "$dir/collectd.conf"
  LD_LIBRARY_PATH=$libs "$binary" -f -C "$dir/collectd.conf" >/dev/null 2>&1 &
  pids+=($!)
  measure collectd $! "$(size_of "$binary")"
}

run_monit() {
  local binary
  binary=$(program monit)
  cat > "$dir/monitrc" <<END
set daemon 1
set idfile $dir/monit.id
set statefile $dir/monit.state
set pidfile $dir/monit.pid
check system here
  if loadavg (1min) > 1000 then alert
  if cpu usage > 101% then alert
  if memory usage > 101% then alert
  if swap usage > 101% then alert
check filesystem root with path /
  if space usage > 101% then alert
  if inode usage > 101% then alert
check network lo with interface lo
  if upload > 1000 MB/s then alert
END
  chmod 600 "$dir/monitrc"
  LD_LIBRARY_PATH=$libs "$binary" -I -c "$dir/monitrc" >/dev/null 2>&1 &
  pids+=($!)
  measure monit $! "$(size_of "$binary")"
}

run_gmond() {
  local binary modules sink=$1
  binary=$(program gmond)
  modules=$(dirname "$(find "$root" -name modcpu.so | head -n 1)")
  {
    printf 'globals {\n daemonize = no\n setuid = no\n debug_level = 0\n deaf = yes\n mute = no\n module_dir = %s\n}\n' "$modules"
    printf 'cluster {\n name = "bench"\n}\nudp_send_channel {\n host = 127.0.0.1\n port = %s\n}\n' "$sink"
    printf 'modules {\n module {\n  name = "core_metrics"\n }\n'
    for module in cpu disk load mem net proc sys; do
      printf ' module {\n  name = "%s_module"\n  path = "mod%s.so"\n }\n' "$module" "$module"
    done
    printf '}\ncollection_group {\n collect_every = 1\n time_threshold = 1\n'
    for metric in cpu_user cpu_system cpu_idle cpu_wio cpu_steal load_one load_five load_fifteen proc_run proc_total \
      mem_free mem_buffers mem_cached mem_total swap_free swap_total disk_total disk_free part_max_used \
      bytes_in bytes_out pkts_in pkts_out; do
      printf ' metric {\n  name = "%s"\n  value_threshold = 0\n }\n' "$metric"
    done
    printf '}\n'
  } > "$dir/gmond.conf"
  LD_LIBRARY_PATH=$libs "$binary" -f -c "$dir/gmond.conf" >/dev/null 2>&1 &
  pids+=($!)
  measure gmond $! "$(size_of "$binary")"
}

# One request a second for load, processor, memory, swap, a file system, a disk and an interface.
run_snmpd() {
  local binary client port oids
  binary=$(program snmpd)
  client=$(program snmpget)
  port=$(free_port)
  printf 'agentaddress udp:127.0.0.1:%s\nrocommunity public 127.0.0.1\ndisk /\n' "$port" > "$dir/snmpd.conf"
  SNMP_PERSISTENT_DIR=$dir/snmp MIBS='' LD_LIBRARY_PATH=$libs \
    "$binary" -f -C -c "$dir/snmpd.conf" -p "$dir/snmpd.pid" >/dev/null 2>&1 &
  local pid=$!
  pids+=("$pid")
  oids=$(printf ' .1.3.6.1.4.1.2021.%s' 10.1.3.{1,2,3} 11.{50,51,52,53,54}.0 4.{3,4,5,6,11,14,15}.0 9.1.{6,7,8,9}.1 \
    13.15.1.1.{3,4,5,6}.1)
  oids="$oids $(printf ' .1.3.6.1.2.1.%s' 2.2.1.{10,11,14,16,17,20}.1 25.1.1.0)"
  (while sleep 1; do
    # shellcheck disable=SC2086
    MIBS='' LD_LIBRARY_PATH=$libs "$client" -v2c -c public -m '' "127.0.0.1:$port" $oids >/dev/null 2>&1 || true
  done) &
  pids+=($!)
  measure snmpd "$pid" "$(size_of "$binary")"
}

# What a small agent of one's own in Python does with psutil.
run_psutil() {
  local sink=$1
  PYTHONPATH=$root/usr/lib/python3/dist-packages /usr/bin/python3 - "$sink" >/dev/null 2>&1 <<'END' &
import json, os, psutil, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
to = ("127.0.0.1", int(sys.argv[1]))
while True:
    time.sleep(1)
    data = {"cpu": psutil.cpu_times_percent()._asdict(), "load": os.getloadavg(),
            "memory": psutil.virtual_memory()._asdict(), "swap": psutil.swap_memory()._asdict(),
            "disk": psutil.disk_usage("/")._asdict(), "io": psutil.disk_io_counters()._asdict(),
            "net": {k: v._asdict() for k, v in psutil.net_io_counters(pernic=True).items()}}
    s.sendto(json.dumps(data).encode(), to)
END
  pids+=($!)
  measure psutil $! "$(size_of /usr/bin/python3)"
}

unpack >&2
libs=$(find "$root" -type d \( -path '*/lib/*-linux-gnu' -o -path '*/lib/ganglia' \) | paste -sd:)
start_sink
printf '%-14s %10s %11s %12s\n' agent "on disk" resident "CPU a cycle"
for name in "${names[@]}"; do
  "run_${name//-/_}" "$sink"
done
