#!/usr/bin/env python3
"""What a plain Python heartbeat server costs: asyncio, zlib, json; with --fast uvloop and orjson.

Does the same work as the measured path of hbd: inflate where compressed, parse, look the host up, keep the latest
data of the plugin, answer an ACK. Prints its port when ready. Used by benches/datagram.rs alone.
"""
import asyncio
import sys
import time
import zlib

if "--fast" in sys.argv:
    import orjson
    import uvloop

    loads, dumps, new_loop = orjson.loads, orjson.dumps, uvloop.new_event_loop
else:
    import json

    loads = json.loads
    new_loop = asyncio.new_event_loop

    def dumps(value):
        return json.dumps(value, separators=(",", ":")).encode()


class Server(asyncio.DatagramProtocol):
    def __init__(self):
        self.hosts = {}

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        try:
            message = loads(zlib.decompress(data) if data[0] & 0x0F == 8 else data)
            host = self.hosts.setdefault(message["name"].lower(), {"plugins": {}})
        except (ValueError, KeyError, zlib.error, IndexError):
            return
        host["last_seen"] = time.time()
        host["address"] = address[0]
        if message["ID"] == "PLG":
            host["plugins"][message["plugin"]] = message["data"]
        ack = {"ID": "ACK"}
        if "seq" in message:
            ack["ack"] = message["seq"]
        self.transport.sendto(dumps(ack), address)


def main():
    loop = new_loop()
    asyncio.set_event_loop(loop)
    import socket

    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind(("127.0.0.1", 0))
    loop.run_until_complete(loop.create_datagram_endpoint(Server, sock=sock))
    print("ready udp=127.0.0.1:%d" % sock.getsockname()[1], file=sys.stderr, flush=True)
    loop.run_forever()


main()
