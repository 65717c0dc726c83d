#!/usr/bin/env python3
"""What a storm of logins does to everybody else, and whether the time of an answer tells that an account exists.

    benches/logins.py [HBD]        (a release build)

Prints how 1,000 logins at once were answered, how long other requests took meanwhile, and the mean times of 200
wrong passwords for a known and for an unknown user, asked in turn from addresses of their own.
"""
import hashlib, http.client, json, os, statistics, subprocess, sys, tempfile, threading, time

hbd = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/release/hbd")
LOGINS, TIMED = 1000, 200


def start(directory):
    digest = hashlib.pbkdf2_hmac("sha256", b"sesame", b"pepper", 600_000).hex()
    users = "\n".join(f"  u{n}: {{password: 'pbkdf2:sha256:600000$pepper${digest}'}}" for n in range(TIMED))
    with open(f"{directory}/hbd.yaml", "w") as file:
        file.write(f"""hb_port: 0
hb_host: 127.0.0.1
hbd_host: 127.0.0.1
hbd_port: 0
ws_port: null
trusted_proxies: [127.0.0.0/8]
state_dir: {directory}/state
control_socket: {directory}/hbd.sock
journal_enabled: false
users:
  root: {{admin: true, password: 'pbkdf2:sha256:600000$pepper${digest}'}}
{users}
""")
    log = open(f"{directory}/log", "w+")
    server = subprocess.Popen([hbd, "-f", "-c", f"{directory}/hbd.yaml"], stderr=log)
    for _ in range(200):
        text = open(f"{directory}/log").read()
        if "ready " in text:
            address = text.split("http=")[1].split()[0]
            return server, address
        time.sleep(0.1)
    sys.exit(text)


def login(address, user, password, source):
    connection = http.client.HTTPConnection(address, timeout=60)
    body = json.dumps({"username": user, "password": password})
    headers = {"Content-Type": "application/json", "X-Forwarded-For": source}
    before = time.perf_counter()
    connection.request("POST", "/api/0/auth/login", body, headers)
    answer = connection.getresponse()
    text = answer.read()
    took = time.perf_counter() - before
    connection.close()
    return answer.status, took, text


def source(n):
    return f"198.18.{n // 250}.{n % 250 + 1}"


# A process of its own: a thousand threads of this one would keep it waiting for each other.
WATCH = """
import http.client, json, select, sys, time
address, token = sys.argv[1:]
spans = []
while not select.select([sys.stdin], [], [], 0.005)[0]:
    connection = http.client.HTTPConnection(address, timeout=60)
    before = time.perf_counter()
    connection.request("GET", "/api/0/auth/me", headers={"Authorization": "Bearer " + token})
    status = connection.getresponse().status
    spans.append((time.perf_counter() - before, status))
    connection.close()
print(json.dumps(spans))
"""


def storm(address):
    status, _, text = login(address, "root", "sesame", "198.19.0.1")
    assert status == 200, text
    token = json.loads(text)["token"]
    statuses = {}
    lock = threading.Lock()

    def one(n):
        try:
            status = login(address, f"u{n % TIMED}", "wrong", source(n))[0]
        except OSError as error:
            status = type(error).__name__
        with lock:
            statuses[status] = statuses.get(status, 0) + 1

    threading.stack_size(256 << 10)
    watcher = subprocess.Popen([sys.executable, "-c", WATCH, address, token], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    threads = [threading.Thread(target=one, args=(n,)) for n in range(LOGINS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans = json.loads(watcher.communicate("end\n")[0])
    good = sorted(span for span, status in spans if status == 200)
    print(f"{LOGINS} logins at once: {statuses}")
    print(f"others meanwhile: {len(good)} of {len(spans)} answered with 200, "
          f"median {good[len(good) // 2] * 1e3:.1f} ms, p99 {good[int(len(good) * .99)] * 1e3:.1f} ms, "
          f"worst {good[-1] * 1e3:.1f} ms")


def cpu(server):
    """Milliseconds of CPU of all threads, to the nanosecond; what else runs on the machine does not show."""
    tasks = os.listdir(f"/proc/{server.pid}/task")
    return sum(int(open(f"/proc/{server.pid}/task/{task}/schedstat").read().split()[0]) for task in tasks) / 1e6


def timing(server, address):
    spans = {True: [], False: []}
    work = {True: [], False: []}
    for n in range(2 * TIMED):
        # In turn, and who comes first in turn, too.
        is_known = n % 4 in (0, 3)
        user = f"u{n // 2}" if is_known else f"x{n // 2}"
        before = cpu(server)
        status, took, text = login(address, user, "wrong", source(2000 + n))
        assert status == 401, (status, text)
        spans[is_known].append(took * 1e3)
        work[is_known].append(cpu(server) - before)
    mean, middle = statistics.mean, statistics.median
    for what, of in ("time", spans), ("CPU of the server", work):
        print(f"wrong password, {what}: known user mean {mean(of[True]):.2f} ms, median {middle(of[True]):.2f}; unknown "
              f"{mean(of[False]):.2f}, {middle(of[False]):.2f}; difference of the means "
              f"{abs(mean(of[True]) - mean(of[False])):.2f}, of the medians {abs(middle(of[True]) - middle(of[False])):.2f} "
              f"over {TIMED} tries each", flush=True)


with tempfile.TemporaryDirectory() as directory:
    server, address = start(directory)
    try:
        storm(address)
        time.sleep(1)
        server.terminate()
        server.wait()
        subprocess.run(["rm", "-rf", f"{directory}/state"], check=True)
        server, address = start(directory)
        timing(server, address)
    finally:
        server.terminate()
        server.wait()
