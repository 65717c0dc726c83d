#!/usr/bin/env python3
"""A large fleet against a real hbd: memory, the first page of hosts, and ACKs while pages are served.

    cargo build --locked --release --bin hbd && benches/fleet.py target/release/hbd [HOSTS]

Loopback only; 127.1.0.0/16 stands for the hosts' addresses. Ends by itself after about a minute.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

hbd = sys.argv[1] if len(sys.argv) > 1 else "target/release/hbd"
hosts = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
state = tempfile.TemporaryDirectory()
config = os.path.join(state.name, "hbd.yaml")
with open(config, "w") as file:
    file.write(
        f"hb_port: 0\nhbd_port: 0\nws_port: 0\njournal_enabled: false\nhosts_max: {hosts + 10}\n"
        f"state_dir: {state.name}/state\ncontrol_socket: {state.name}/hbd.sock\n"
    )
log = os.path.join(state.name, "log")
server = subprocess.Popen([hbd, "-f", "-c", config], stdout=subprocess.DEVNULL, stderr=open(log, "w"))
line = ""
while not line:
    time.sleep(0.05)
    if server.poll() is not None:
        sys.exit(open(log).read())
    line = next((l for l in open(log) if l.startswith("ready ")), "")
fields = dict(word.split("=") for word in line.split()[1:])
udp = ("127.0.0.1", int(fields["udp"].rsplit(":", 1)[1]))
http = "http://" + fields["http"]


def rss_mb():
    with open(f"/proc/{server.pid}/status") as status:
        return next(int(l.split()[1]) for l in status if l.startswith("VmRSS")) / 1024


def heartbeat(i):
    return b'{"ID":"HTB","name":"host-%06d","seq":1,"interval":3600,"rtt":0.5,"up":86400,"v":"0.1.0"}' % i


begin = time.time()
print(f"idle with 0 hosts: {rss_mb():.1f} MB resident")
per_address = 90


def sweep():
    """Every host once, from an address that it shares with 89 others."""
    for sent in range(0, hosts, per_address):
        address = sent // per_address
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((f"127.1.{address // 250}.{address % 250 + 1}", 0))
            for i in range(sent, min(sent + per_address, hosts)):
                sock.sendto(heartbeat(i), udp)
        time.sleep(0.002)


def count():
    return json.load(urllib.request.urlopen(http + "/api/0/hosts?limit=1"))["total"]


# New names are limited by address, and addresses share slots: some need a second try.
while count() < hosts and time.time() - begin < 60:
    sweep()
    time.sleep(2)
total = count()
print(f"{total} hosts after {time.time() - begin:.0f} s: {rss_mb():.1f} MB resident")


def get(path):
    begin = time.perf_counter()
    urllib.request.urlopen(http + path).read()
    return (time.perf_counter() - begin) * 1000


def acknowledged(sock, i):
    begin = time.perf_counter()
    sock.send(heartbeat(i))
    sock.recv(200)
    return (time.perf_counter() - begin) * 1000


pages = sorted(get("/api/0/hosts?limit=50") for _ in range(200))
print(f"GET hosts?limit=50: median {pages[100]:.2f} ms, p99 {pages[197]:.2f} ms")
live = sorted(get("/live") for _ in range(50))
print(f"GET /live: median {live[25]:.2f} ms, worst {live[-1]:.2f} ms")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.settimeout(2)
    sock.connect(udp)
    quiet = sorted(acknowledged(sock, i) for i in range(2000))
    reader = subprocess.Popen(
        [sys.executable, "-c", f"import urllib.request as u\nfor _ in range(300): u.urlopen('{http}/api/0/hosts?limit=50').read()"]
    )
    busy = []
    while reader.poll() is None:
        busy.append(acknowledged(sock, 2000 + len(busy) % 50_000))
    busy.sort()
for name, times in (("quiet", quiet), ("while pages are served", busy)):
    p = lambda q: times[min(len(times) - 1, int(len(times) * q))]
    print(f"ACK {name}: {len(times)} asked, median {p(0.5):.3f} ms, p99 {p(0.99):.3f} ms, worst {times[-1]:.2f} ms")
with open(f"/proc/{server.pid}/stat") as stat:
    before = sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13]))
time.sleep(5)
with open(f"/proc/{server.pid}/stat") as stat:
    after = sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13]))
print(f"idle with {total} hosts: {(after - before) * 1000 / os.sysconf('SC_CLK_TCK') / 5:.1f} ms of CPU a second")
server.send_signal(signal.SIGTERM)
server.wait(20)
