"""A month of production in dollars, from prices (costs.json) and from the figures that Terraform's tests gave.

    costs.py costs.json PRODUCTION.json COSTS.md [--write]

Fails when a month at rest, with what was committed to, leaves the documents' band, when the budget's alarm is not
at the top of the band, or when COSTS.md says something else than this; --write writes it.
"""

import json
import pathlib
import sys


class Month:
    """Lines of a bill: group, what, count, list price, what the region is dearer by, what is committed to."""

    def __init__(self, prices):
        self.prices, self.lines = prices, []

    def add(self, group, what, count, unit, kind=None, dearer="factor", spot=False):
        prices = self.prices
        hourly = unit in prices["hourly"]
        price = prices["hourly"][unit] * prices["hours"] if hourly else prices["monthly"][unit]
        if spot:
            price *= prices["spot"]["share"]
        listed = count * price
        here = listed * (prices["region"][dearer] if dearer else 1)
        committed = here * (prices["commitments"][kind] if kind else 1)
        self.lines.append((group, what, count, listed, here, committed))

    def sums(self, group=None):
        chosen = [line for line in self.lines if group in (None, line[0])]
        return [sum(line[column] for line in chosen) for column in (3, 4, 5)]


def month(prices, made):
    bill = Month(prices)
    usage, database, cache = prices["usage"], made["database"], made["cache"]
    bill.add("control plane", "EKS", 1, "control plane", dearer=None)
    for name, group in sorted(made["groups"].items()):
        kind = None if group["spot"] else "machine"
        bill.add("machines", f"{name}: {group['type']}", group["min"], group["type"], kind, spot=group["spot"])
    machines = made["database"]["replicas"] + (2 if database["multi_az"] else 1)
    bill.add("PostgreSQL", f"{database['instance_class']}: primary, stand-by, copies", machines, database["instance_class"], "database")
    bill.add("PostgreSQL", "storage, GiB", machines * database["storage_gib"]["from"], "GiB of PostgreSQL")
    bill.add("Redis", cache["node_type"], cache["nodes"], cache["node_type"], "cache")
    archives = usage["GiB of backups, both regions"] * usage["months that an archive is billed for"]
    bill.add("S3", "backups in both regions, GiB", archives, "GiB of S3 for archives")
    bill.add("S3", "segments, versions, state, GiB", usage["GiB of segments and versions"], "GiB of S3")
    bill.add("data transfer", "to the internet, GiB", usage["GiB to the internet"], "GiB to the internet", dearer="transfer_factor")
    bill.add("data transfer", "between zones, GiB", usage["GiB between zones"], "GiB between zones")
    bill.add("data transfer", "to the second region, GiB", usage["GiB to the second region"], "GiB between regions", dearer="region_factor")
    disks = sum(group["min"] * group["disk_gib"] for group in made["groups"].values())
    bill.add("not in the documents", "disks of machines, GiB", disks, "GiB of disk")
    bill.add("not in the documents", "volumes of pods, GiB", usage["GiB of volumes"], "GiB of disk")
    bill.add("not in the documents", "NAT gateways", made["nat_gateways"], "NAT gateway")
    bill.add("not in the documents", "through them, GiB", usage["GiB through a NAT gateway"], "GiB through a NAT gateway")
    bill.add("not in the documents", "load balancer", 1, "load balancer")
    bill.add("not in the documents", "its capacity", 1, "load balancer's capacity")
    bill.add("not in the documents", "public addresses", made["nat_gateways"] + 3, "public address", dearer=None)
    bill.add("not in the documents", "firewall", 1, "firewall", dearer=None)
    bill.add("not in the documents", "its rules", len(made["firewall"]), "firewall's rule", dearer=None)
    bill.add("not in the documents", "its requests, millions", usage["million requests"], "million requests", dearer=None)
    bill.add("not in the documents", "keys, one of the state", made["keys"] + 1, "key", dearer=None)
    bill.add("not in the documents", "secrets in both regions", 2 * len(made["secrets"]), "secret", dearer=None)
    bill.add("not in the documents", "logs, GiB", usage["GiB of logs"], "GiB of logs")
    bill.add("not in the documents", "alarms", made["alarms"], "alarm", dearer=None)
    bill.add("not in the documents", "images in both regions, GiB", usage["GiB of images, both regions"], "GiB of images", dearer=None)
    bill.add("not in the documents", "zone of names", 1, "zone", dearer=None)
    return bill


def ceiling(prices, made):
    """Dollars an hour that all machines cost above those at rest, by the list, in the region."""
    share = prices["spot"]["share"]
    return prices["region"]["factor"] * sum(
        (group["max"] - group["min"]) * prices["hourly"][group["type"]] * (share if group["spot"] else 1)
        for group in made["groups"].values()
    )


def page(prices, made, bill):
    region, band = prices["region"]["name"], prices["band"]
    listed, here, committed = bill.sums()
    theirs = sum(bill.sums(group)[2] for group in prices["documents"])
    out = [
        "# What a month of production costs",
        "",
        "Made from `costs.json` and from production's own figures by `checks/costs.py`; `cargo xtask deploy-check --only",
        "terraform` fails when it is stale. US dollars, at rest: every group of machines at its least.",
        "",
        f"**{committed:,.0f} a month in {region} with one year's commitments; {here:,.0f} without them.** The documents' band is",
        f"{band['min']}–{band['max']:,}; it counts {len(prices['documents'])} things, which come to {theirs:,.0f} here, and this counts everything that is made.",
        "",
        "| | documents | list, us-east-1 | " + region + " | with commitments |",
        "|---|---|---|---|---|",
    ]
    for group in dict.fromkeys(line[0] for line in bill.lines):
        told = prices["documents"].get(group)
        told = "–" if told is None else str(told[0]) if told[0] == told[1] else f"{told[0]}–{told[1]}"
        out.append(f"| **{group}** | {told} | " + " | ".join(f"{value:,.0f}" for value in bill.sums(group)) + " |")
    out.append(f"| **all** | {band['min']}–{band['max']:,} | " + " | ".join(f"**{v:,.0f}**" for v in (listed, here, committed)) + " |")
    capacity, processors = made["capacity"], made["capacity"]["spot_share_of_processors"]
    out += [
        "",
        f"Machines: {capacity['nodes']['min']} at rest, {capacity['nodes']['max']} at most; {capacity['spot_share']['min']:g} % and "
        f"{capacity['spot_share']['max']:g} % of them spot (of processors "
        f"{processors['min']:.0f} % and {processors['max']:.0f} %). An hour with all of them costs {ceiling(prices, made):.2f} more than one",
        f"at rest. Somebody is told at 80 % of {made['budget_usd']:,} and when more than that is foreseen.",
        "",
        "Where a month must be cheaper: one way out instead of one a zone (`nat`), no copy of PostgreSQL (`replicas`), each a",
        f"line of `environments/production/sizes.tf`. Amazon MQ instead of RabbitMQ in the cluster would add "
        f"{3 * prices['hourly']['mq.m5.large'] * prices['hours'] * prices['region']['factor']:,.0f}.",
        "",
        "| line | count | list, us-east-1 | " + region + " | with commitments |",
        "|---|---|---|---|---|",
    ]
    out += [f"| {group}: {what} | {count:g} | {a:,.2f} | {b:,.2f} | {c:,.2f} |" for group, what, count, a, b, c in bill.lines]
    out += [
        "",
        "Prices of machines and of the way out are the provider's list; the region's factors, commitments, spot share and what a",
        "month moves are estimates (`costs.json` says so of each), to be put right from the calculator and then from the bill.",
    ]
    return "\n".join(out) + "\n"


def main(prices, made, target, *flags):
    prices, made = (json.loads(pathlib.Path(path).read_text()) for path in (prices, made))
    bill = month(prices, made)
    text, target = page(prices, made, bill), pathlib.Path(target)
    if "--write" in flags:
        target.write_text(text)
    faults = []
    _, here, committed = bill.sums()
    band = prices["band"]
    if not band["min"] <= committed <= band["max"]:
        faults.append(f"a month costs {committed:,.0f} with commitments, the band is {band['min']}-{band['max']}")
    if made["budget_usd"] != band["max"]:
        faults.append(f"the budget's alarm is at {made['budget_usd']}, the band ends at {band['max']}")
    if not target.is_file() or target.read_text() != text:
        faults.append(f"{target} is stale: run this program with --write\n{' '.join(sys.argv)} --write")
    if faults:
        sys.exit("\n".join(faults))
    print(f"{committed:,.0f} a month with commitments, {here:,.0f} without, of {band['min']}-{band['max']:,}; {len(bill.lines)} lines")


if __name__ == "__main__":
    main(*sys.argv[1:])
