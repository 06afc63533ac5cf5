"""What schemathesis cannot know by itself: one request of each operation that must succeed.

Reads the world that world.mjs left (WORLD), adds its requests to the examples phase, and writes what
every operation answered to SEEN. Must never change a request that schemathesis made, nor a check.
"""

import atexit
import collections
import itertools
import json
import os

import schemathesis
from schemathesis.auths import AuthContext, set_on_case

with open(os.environ["WORLD"], encoding="utf-8") as file:
    WORLD = json.load(file)

drawn = itertools.count(1)
seen = collections.defaultdict(collections.Counter)


@schemathesis.hook
def before_add_examples(context, examples):
    operation = context.operation
    label = f"{operation.method.upper()} {operation.path}"
    for request in WORLD["requests"].get(label, []):
        headers = dict(request.get("headers") or {})
        if request.get("once"):
            headers["Idempotency-Key"] = f"contract-{os.getpid()}-{next(drawn)}"
        parts = {
            "path_parameters": request.get("path"),
            "query": request.get("query"),
            "headers": headers or None,
        }
        if "body" in request:
            parts["body"] = request["body"]
            parts["media_type"] = request.get("media_type", "application/json")
        case = operation.Case(**{name: part for name, part in parts.items() if part is not None})
        # generated cases get the configured credential when they are made
        set_on_case(case, AuthContext(operation=operation, app=operation.app), None)
        examples.append(case)


@schemathesis.hook
def after_call(context, case, response):
    # a request with a method that the operation has not is not one of the operation's
    if case.method.upper() == case.operation.method.upper():
        label = f"{case.operation.method.upper()} {case.operation.path}"
        seen[label][str(response.status_code)] += 1


@atexit.register
def write_down():
    with open(os.environ["SEEN"], "w", encoding="utf-8") as file:
        json.dump({label: dict(counts) for label, counts in seen.items()}, file, indent=1, sort_keys=True)
