#!/usr/bin/env python3
"""A whole hbd under the storms of THREATS H1 and H2: what they cost it, and what others notice.

    benches/storm.py [HBD [CONNECTIONS [WORD]]]   (a release build; 10,000 connections; storms whose name has WORD)

For each storm, on the HTTP port and on the WebSocket port: resident memory, the times of good requests on new
connections, the times of UDP acknowledgements, and how soon the port answers once the storm is over. Everything
stays on loopback; strangers come from 127.1.0.0/16, good clients from 127.0.0.1. Who measures is a process of its own:
beside the strangers' thread it would measure how Python shares its interpreter, in steps of 5 ms.
"""
import http.client, multiprocessing, os, resource, socket, subprocess, sys, tempfile, time

hbd = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/release/hbd")
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
WORD = sys.argv[3] if len(sys.argv) > 3 else ""
HOSTS = 1000
# Hosts that send while it storms, each within what one may.
SENDERS = 20
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def start(directory, files):
    with open(f"{directory}/hbd.yaml", "w") as file:
        file.write(f"""hb_port: 0
hb_host: 127.0.0.1
hbd_host: 127.0.0.1
hbd_port: 0
ws_port: 0
state_dir: {directory}/state
control_socket: {directory}/hbd.sock
journal_enabled: false
""")
    log = open(f"{directory}/log", "w")
    server = subprocess.Popen(
        ["bash", "-c", f'ulimit -n {files} && exec "$0" "$@"', hbd, "-f", "-c", f"{directory}/hbd.yaml"], stderr=log)
    for _ in range(200):
        text = open(f"{directory}/log").read()
        if "ready " in text:
            words = dict(word.split("=") for word in text.split("ready ")[1].split())
            return server, *((h, int(p)) for h, p in (words[n].rsplit(":", 1) for n in ("udp", "http", "ws")))
        time.sleep(0.1)
    sys.exit(text)


def rss(server):
    with open(f"/proc/{server.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def heartbeat(client, name):
    client.send(b'{"ID":"HTB","name":"%s","interval":3600}' % name)
    client.recv(2048)


def good(to):
    before = time.perf_counter()
    connection = http.client.HTTPConnection(*to, timeout=20)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()
    return time.perf_counter() - before


def ask(to, ended, told):
    spans, failures = [], []
    while not ended.wait(0.02):
        try:
            spans.append(good(to))
        except Exception as error:
            failures.append(repr(error))
    told.put((spans, failures))


def beat(udp, ended, told):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(2)
    client.connect(udp)
    spans, failures = [], []
    while not ended.wait(0.003):
        before = time.perf_counter()
        try:
            heartbeat(client, b"host-%d" % (len(spans) % SENDERS))
            spans.append(time.perf_counter() - before)
        except OSError as error:
            failures.append(f"ACK: {error!r}")
    told.put((spans, failures))


class Watch:
    """Good requests and heartbeats, until it is told to end."""

    def __init__(self, udp, to):
        self.ended = multiprocessing.Event()
        self.queues = [multiprocessing.Queue(), multiprocessing.Queue()]
        work = zip((ask, beat), (to, udp), self.queues)
        self.processes = [
            multiprocessing.Process(target=body, args=(address, self.ended, queue)) for body, address, queue in work]
        for process in self.processes:
            process.start()

    def end(self):
        self.ended.set()
        (self.requests, failed), (self.acks, unanswered) = (queue.get() for queue in self.queues)
        self.failures = failed + unanswered
        for process in self.processes:
            process.join()


def figures(spans):
    if not spans:
        return "none"
    spans = sorted(spans)
    at = lambda share: spans[min(len(spans) - 1, int(len(spans) * share))] * 1e3
    return f"median {at(.5):.2f} ms, p99 {at(.99):.2f}, worst {spans[-1] * 1e3:.2f}"


def stranger(n, to, window=None):
    peer = socket.socket()
    if window:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    peer.settimeout(5)
    peer.bind((f"127.1.{n // 250 % 250}.{n % 250 + 1}", 0))
    peer.connect(to)
    return peer


def storm(name, server, udp, http_at, to, count, bytes_sent, window=None, hold=6):
    if WORD not in name:
        return
    before = rss(server)
    watch, peers, most = Watch(udp, http_at), [], before
    end = time.monotonic() + hold
    for n in range(count):
        try:
            peer = stranger(n, to, window)
            peer.send(bytes_sent)
            peers.append(peer)
        except OSError:
            pass  # Turned away, which is its right.
        if n % 500 == 0:
            most = max(most, rss(server))
    while time.monotonic() < end:
        time.sleep(0.2)
        most = max(most, rss(server))
    watch.end()
    for peer in peers:
        peer.close()
    after = time.perf_counter()
    good(http_at)
    after = time.perf_counter() - after
    print(f"{name}, {len(peers)} of {count} connections: +{(most - before) / 1024:.1f} MB; good requests "
          f"{len(watch.requests)}: {figures(watch.requests)}; ACKs {len(watch.acks)}: {figures(watch.acks)}; "
          f"answers {after * 1e3:.0f} ms after; failures {len(watch.failures)} {watch.failures[:2]}", flush=True)


def greet(udp, hosts):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(udp)
    for n in range(hosts):
        heartbeat(client, b"host-%d" % n)
        time.sleep(0.021)


head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "
with tempfile.TemporaryDirectory() as directory:
    server, udp, http_at, ws = start(directory, 1024)
    try:
        if "descriptors" not in WORD:
            greet(udp, HOSTS)
            for _ in range(20):
                good(http_at)
            storm("slow heads, HTTP", server, udp, http_at, http_at, COUNT, head)
            storm("half handshakes, WebSocket", server, udp, http_at, ws, COUNT, head)
            large = b"GET /api/0/hosts HTTP/1.1\r\nHost: localhost\r\n\r\n"
            storm("peers that never read, HTTP", server, udp, http_at, http_at, min(COUNT, 2000), large, window=2048)
            opening = (b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            storm("peers that never read, WebSocket", server, udp, http_at, ws, min(COUNT, 2000), opening, window=2048)
        server.terminate()
        server.wait()
        # The fewest with which hbd starts.
        server, udp, http_at, ws = start(directory, 128)
        greet(udp, SENDERS)
        for _ in range(3):
            storm("128 descriptors, 200 connections", server, udp, http_at, http_at, 200, head, hold=2)
        # And fewer than it was started with: then only UDP goes on, and the port as soon as the storm is over.
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (64, 64))
        for _ in range(3):
            storm("64 descriptors of 128, 200 connections", server, udp, http_at, http_at, 200, head, hold=2)
    finally:
        server.terminate()
        server.wait()
