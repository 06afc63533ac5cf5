"""Rendered manifests, made ready for the programs that judge them.

    split.py RENDERED.yaml FOLDER

writes FOLDER/core.yaml (kinds of Kubernetes itself), FOLDER/custom.json (kinds of operators) and
FOLDER/objects.json (all), and prints how many there are of each. Exit 1 when two objects are one.
Called by `cargo xtask deploy-check`.
"""

import json
import pathlib
import sys

import yaml


def is_core(thing):
    """Groups of Kubernetes itself have no dot, or end in k8s.io."""
    group = thing["apiVersion"].rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")


def main(rendered, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = pathlib.Path(rendered).read_text(encoding="utf-8")
    objects = [thing for thing in yaml.safe_load_all(text) if thing]
    names = [
        (thing["apiVersion"], thing["kind"], thing["metadata"].get("namespace"), thing["metadata"]["name"])
        for thing in objects
    ]
    twice = {name for name in names if names.count(name) > 1}
    core = [thing for thing in objects if is_core(thing)]
    custom = [thing for thing in objects if not is_core(thing)]
    (folder / "core.yaml").write_text(yaml.safe_dump_all(core), encoding="utf-8")
    (folder / "custom.json").write_text(json.dumps(custom), encoding="utf-8")
    (folder / "objects.json").write_text(json.dumps(objects), encoding="utf-8")
    print(len(core), len(custom))
    for name in sorted(map(str, twice)):
        print(f"twice: {name}", file=sys.stderr)
    return 1 if twice else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
