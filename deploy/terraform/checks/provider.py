"""A stand-in for one of Terraform's providers: it serves a schema and does nothing else.

    provider.py SCHEMA.json NAME

Terraform holds every argument against the schema: names, types, what is missing. Values are not judged, and
nothing can be planned or made with it, except by tests, where Terraform itself plays the provider. One of them
serves many Terraforms, which deploy-check tells where it listens: the loopback, in the clear. The few messages
are written out here, so that no compiler of messages is needed.
"""

import json
import sys
import threading
from concurrent import futures

import grpc

NESTING = {"struct": 1, "list": 2, "set": 3, "map": 4}


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, value):
    """One field: numbers, flags, text and messages; what is nothing is not sent."""
    if value is None or value is False or value == 0:
        return b""
    if isinstance(value, int):
        return varint(number << 3) + varint(int(value))
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def attribute(name, entry, protocol):
    made = field(1, name)
    if "nested" in entry:
        nesting, block = entry["nested"]
        inner = b"".join(field(1, attribute(n, e, protocol)) for n, e in sorted(block["attributes"].items()))
        made += field(10, inner + field(3, NESTING[nesting]))
    else:
        made += field(2, json.dumps(entry["type"]))
    for number, flag in ((4, "required"), (5, "optional"), (6, "computed")):
        made += field(number, entry.get(flag, False))
    return made + field(10 if protocol == 5 else 11, entry.get("write_only", False))


def block(entry, protocol):
    made = b"".join(field(2, attribute(n, e, protocol)) for n, e in sorted(entry["attributes"].items()))
    for name, inner in sorted(entry["blocks"].items()):
        made += field(
            3,
            field(1, name)
            + field(2, block(inner["block"], protocol))
            + field(3, NESTING[inner["nesting"]])
            + field(4, inner["min"])
            + field(5, inner["max"]),
        )
    return made


def schema(entry, protocol):
    return field(2, block(entry, protocol))


def answer(held):
    """What the provider knows: itself, its resources, its data sources."""
    protocol = held["protocol"]
    made = field(1, schema(held["provider"], protocol))
    for number, which in ((2, "resource"), (3, "data")):
        for name, entry in sorted(held[which].items()):
            made += field(number, field(1, name) + field(2, schema(entry, protocol)))
    return made


class Handler(grpc.GenericRpcHandler):
    def __init__(self, held, done):
        self.schema, self.done, self.protocol = answer(held), done, held["protocol"]

    def service(self, details):
        method = details.method.rsplit("/", 1)[-1]
        if method in ("GetSchema", "GetProviderSchema"):
            return self.reply(lambda request: self.schema)
        if method == "PrepareProviderConfig":
            # the settings as they came, under the number under which they came
            return self.reply(lambda request: request)
        if method.startswith("Validate"):
            return self.reply(lambda request: b"")
        if method in ("Stop", "StopProvider"):
            return self.reply(lambda request: b"")
        if method == "Shutdown":
            return self.reply(self.shutdown)
        return None

    def shutdown(self, _):
        self.done.set()
        return b""

    @staticmethod
    def reply(make):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: make(request))


def main(path, name):
    with open(path, encoding="utf-8") as file:
        held = json.load(file)[name]
    done = threading.Event()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers((Handler(held, done),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"1|{held['protocol']}|tcp|127.0.0.1:{port}|grpc", flush=True)
    done.wait()
    server.stop(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
