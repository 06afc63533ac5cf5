"""The cluster's own admission rules, evaluated before there is a cluster.

    admission.py POLICY.yaml REFUSED.yaml OBJECTS.json...

Evaluates each expression of the ValidatingAdmissionPolicy with the CEL runtime over every workload of
the rendered overlays: all must be admitted. Every object of REFUSED.yaml must be refused, by the rule
that its annotation `refused-by` names and by no other; every rule must have such an object.
The last line is `admission: N workloads admitted, M refused as they must be`. Called by
`cargo xtask deploy-check`.
"""

import json
import pathlib
import sys

import yaml
from cel_expr_python import cel


def load(path):
    return [thing for thing in yaml.safe_load_all(pathlib.Path(path).read_text(encoding="utf-8")) if thing]


def main(policy_file, refused_file, *object_files):
    policy = next(p for p in load(policy_file) if p["kind"] == "ValidatingAdmissionPolicy")["spec"]
    env = cel.NewEnv(variables={"object": cel.Type.DYN, "variables": cel.Type.DYN})
    variables = [(v["name"], env.compile(v["expression"])) for v in policy["variables"]]
    # a rule is named by the first word of its message
    rules = [(v["message"].split(":")[0], env.compile(v["expression"])) for v in policy["validations"]]
    # resources are plural, lower case and regular here
    kinds = {r[:-1] for m in policy["matchConstraints"]["resourceRules"] for r in m["resources"]}

    def broken(thing):
        known = {}
        for name, expression in variables:
            known[name] = expression.eval(data={"object": thing, "variables": known}).plain_value()
        data = {"object": thing, "variables": known}
        found = []
        for name, expression in rules:
            value = expression.eval(data=data).value()
            # an expression that fails refuses too (failurePolicy: Fail), but is a fault of ours
            if value is not True:
                found.append(name if value is False else f"{name} ({value})")
        return found

    faults, admitted = [], 0
    for path in object_files:
        for thing in json.loads(pathlib.Path(path).read_text(encoding="utf-8")):
            if thing["kind"].lower() not in kinds:
                continue
            found = broken(thing)
            admitted += not found
            if found:
                faults.append(f"{path}: {thing['kind']} {thing['metadata']['name']} is refused by {', '.join(found)}")
    refused = load(refused_file)
    for thing in refused:
        wanted = [thing["metadata"]["annotations"]["refused-by"]]
        found = broken(thing)
        if found != wanted:
            faults.append(f"{refused_file}: {thing['metadata']['name']} is refused by {found}, not by {wanted}")
    untested = {name for name, _ in rules} - {r["metadata"]["annotations"]["refused-by"] for r in refused}
    faults += [f"{refused_file}: nothing tries the rule {name}" for name in sorted(untested)]
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"admission: {admitted} workloads admitted, {len(refused)} refused as they must be")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
