"""Holds rules and dashboards against what exists: every expression is PromQL, every metric is one of
ours (docs/metrics.md) or of a program we know (published-metrics.txt), every alert has a test that
raises it and one that does not, and a row in docs/runbook.md. Changes nothing.

    names.py ROOT                  the checks; a last line that says how much was looked at
    names.py ROOT --scrape FILE…   also: which of our metrics that are used are in these scrapes

Called by `cargo xtask deploy-check`.
"""

import json
import pathlib
import re
import sys

import promql_parser as promql
import yaml

root = pathlib.Path(sys.argv[1])
home = root / "deploy/monitoring"
faults = []


def metrics_of(expression):
    """The names of every selector in an expression."""
    # Grafana's own variables are not PromQL's
    plain = expression.replace("$__rate_interval", "5m").replace('"$namespace"', '"x"')
    found = []

    def walk(node):
        if isinstance(node, promql.VectorSelector):
            if node.name:
                found.append(node.name)
        for field in ("vs", "vector_selector", "expr", "lhs", "rhs", "param"):
            child = getattr(node, field, None)
            if child is not None:
                walk(child)
        for child in getattr(node, "args", None) or []:
            walk(child)

    walk(promql.parse(plain))
    return found


ours = set(re.findall(r"^\| `([a-z_]+)`", (root / "docs/metrics.md").read_text(), re.M))
published = {
    line.strip()
    for line in (home / "published-metrics.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
}
runbook = (root / "docs/runbook.md").read_text()
rows = [line for line in runbook.splitlines() if line.startswith("|")]
used = {}
expressions = 0


def look(where, expression):
    global expressions
    expressions += 1
    try:
        names = metrics_of(expression)
    except Exception as error:  # the parser's own words are the fault
        faults.append(f"{where}: {error}")
        return
    if not names and "vector(" not in expression:
        faults.append(f"{where}: no metric was found in {expression!r}")
    for name in names:
        base = re.sub(r"_(bucket|count|sum)$", "", name)
        if name in ours or base in ours:
            used.setdefault(base if base in ours else name, set()).add(where)
        elif name in published:
            used.setdefault(name, set()).add(where)
        else:
            faults.append(f"{where}: nobody publishes {name}")


alerts = {}
for path in sorted((home / "alerts").glob("*.yml")):
    for group in yaml.safe_load(path.read_text())["groups"]:
        for rule in group["rules"]:
            name = rule["alert"]
            if name in alerts:
                faults.append(f"{name} is there twice")
            alerts[name] = path
            look(name, rule["expr"])
            if rule["labels"].get("severity") not in ("page", "ticket"):
                faults.append(f"{name}: severity is page or ticket")
            if rule["annotations"].get("runbook") != f"docs/runbook.md {name}":
                faults.append(f"{name}: its annotation names no row of the runbook")
            if not any(f"`{name}`" in row.split("|")[1] for row in rows):
                faults.append(f"{name}: docs/runbook.md has no row for it")

raised, silent = set(), set()
for path in sorted((home / "alerts/tests").glob("*.yml")):
    for test in yaml.safe_load(path.read_text())["tests"]:
        for case in test["alert_rule_test"]:
            (raised if case["exp_alerts"] else silent).add(case["alertname"])
            if case["alertname"] not in alerts:
                faults.append(f"{path.name}: there is no alert {case['alertname']}")
for name in alerts:
    if name not in raised:
        faults.append(f"{name}: no test raises it")
    if name not in silent:
        faults.append(f"{name}: no test shows when it is not raised")

uids = {}
panels = 0
for path in sorted((home / "dashboards").glob("*.json")):
    board = json.loads(path.read_text())
    if board["uid"] in uids:
        faults.append(f"{path.name}: its uid is also that of {uids[board['uid']]}")
    uids[board["uid"]] = path.name
    ids = [panel["id"] for panel in board["panels"]]
    if len(ids) != len(set(ids)):
        faults.append(f"{path.name}: two panels have one id")
    for panel in board["panels"]:
        if panel["type"] == "row":
            continue
        panels += 1
        if panel["gridPos"]["x"] + panel["gridPos"]["w"] > 24:
            faults.append(f"{path.name}: {panel['title']} is wider than the page")
        for target in panel["targets"]:
            if target["datasource"]["uid"] != "prometheus":
                faults.append(f"{path.name}: {panel['title']} asks an unknown source")
            look(f"{path.name}: {panel['title']}", target["expr"])

for name in sorted(ours - set(used) - {"build_info"}):
    faults.append(f"{name} is measured, and neither a rule nor a dashboard shows it")
for name in sorted(published - set(used) - {"ALERTS", "kube_pod_info"}):
    faults.append(f"published-metrics.txt names {name}, which nothing uses")

if len(sys.argv) > 3 and sys.argv[2] == "--scrape":
    scrapes = [pathlib.Path(path) for path in sys.argv[3:]]
    seen = set()
    for path in scrapes:
        for line in path.read_text().splitlines():
            match = re.match(r"([a-zA-Z_:][a-zA-Z0-9_:]*)", line)
            if match:
                seen |= {match[1], re.sub(r"_(bucket|count|sum)$", "", match[1])}
    wanted = {name for name in used if name in ours}
    # counters of what seldom happens are there from the start, at zero
    for name in sorted(wanted - seen):
        faults.append(f"{name} is in none of the scrapes")
    words = f"{len(wanted & seen)} of our {len(wanted)} metrics"
    # the servers' exporters were scraped too
    told, section = set(), ""
    for line in (home / "published-metrics.txt").read_text().splitlines():
        if line.startswith("# ---"):
            section = line
        elif line.strip() and not line.startswith("#") and "exporter" in section:
            told.add(line.strip())
    for name in sorted(told - seen):
        faults.append(f"{name} is in no scrape of a server's exporter")
    words += f", and {len(told & seen)} of {len(told)} of the servers'"
    print(f"{words} seen")

for fault in faults:
    print(fault, file=sys.stderr)
if faults:
    sys.exit(1)
if len(sys.argv) <= 2:
    print(f"{len(alerts)} alerts, each with two tests and a row; {panels} panels; {expressions} expressions; {len(used)} metrics")
