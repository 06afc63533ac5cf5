"""Schemas of Terraform's providers from the published bindings for programs.

    schema.py BINDINGS_FOLDER TERRAFORM_FOLDER OUT.json

The bindings are generated from the providers' own schemas: every argument with its type, whether it is a
block, whether it may be left out, and every value that the provider computes. Of each provider this writes
what the files under TERRAFORM_FOLDER name, as JSON that provider.py serves. A type that the bindings do not
know is left out, so that Terraform itself says so. Whether a computed value may also be given is not in the
bindings; nothing here depends on it but `id`.
"""

import io
import json
import pathlib
import re
import sys
import tarfile
import zipfile

ENTRY = re.compile(
    r'"?(\w+)"?: \{\s+value: ([^\n]+),\s+isBlock: (true|false),\s+type: "(\w+)",\s+storageClassType: "([^"]+)",\s+\}'
)
GETTER = re.compile(r"get (\w+)\(\) \{\s+return ([^\n]+);\s+\}")
COMPLEX = re.compile(r'this\._(\w+) = new (?:\w+\.)?(\w+?)(List|Map|OutputReference)\(this, "(\w+)"(?:, (true|false))?\)')
SIMPLE = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
READS = {
    "getStringAttribute": "string",
    "getNumberAttribute": "number",
    "getBooleanAttribute": "bool",
    "getListAttribute": ["list", "string"],
    "getNumberListAttribute": ["list", "number"],
    "getStringMapAttribute": ["map", "string"],
    "getNumberMapAttribute": ["map", "number"],
    "getBooleanMapAttribute": ["map", "bool"],
    "getAnyMapAttribute": ["map", "dynamic"],
}


def wanted(folder):
    """(kind, type) of everything that the files name."""
    found = set()
    for path in pathlib.Path(folder).rglob("*.tf"):
        if ".terraform" in path.parts:
            continue
        for kind, name in re.findall(r'^(resource|data) "(\w+)" "', path.read_text(), re.M):
            found.add((kind, name))
    return found


class Bindings:
    """One file of a package: a resource, a data source or the provider itself."""

    def __init__(self, text, nested, settings):
        self.text, self.nested, self.settings = text, nested, settings

    def part(self, begin):
        """From a line that contains `begin` to the end of that class or function."""
        at = self.text.find(begin)
        if at < 0:
            return ""
        line = self.text.rfind("\n", 0, at) + 1
        indent = re.match(r" *", self.text[line:]).group()
        end = self.text.find("\n" + indent + "}", at)
        return self.text[at:end]

    def base(self, storage):
        """string -> string, stringList -> its element, stringMapList -> map(string)"""
        if storage in SIMPLE:
            return SIMPLE[storage]
        for suffix, kind in (("List", "list"), ("Map", "map")):
            if storage.endswith(suffix):
                return [kind, self.base(storage[: -len(suffix)])]
        raise ValueError(storage)

    def block(self, attributes, body):
        """The attributes and blocks of a class: what may be given, and what is only computed."""
        made = {"attributes": {}, "blocks": {}}
        given = set()
        for name, value, is_block, kind, storage in ENTRY.findall(attributes):
            given.add(name)
            camel = re.search(r"(?:this\._|struct\.)(\w+)", value).group(1)
            # what may be left out can be reset; nothing reads a provider's own settings, and none is needed
            required = not self.settings and f"reset{camel[0].upper()}{camel[1:]}()" not in body
            if is_block == "true":
                self.nest(made, name, value, kind, required)
                continue
            if storage == "any" and attributes.lstrip().startswith("function "):
                # what nests without end has no form in the bindings, and none can be asked of it
                continue
            held = self.base(storage)
            if kind in ("list", "set", "map"):
                # "anything" is told as a map of anything
                held = "dynamic" if held == ["map", "dynamic"] else [kind, held[1]]
            entry = {"type": held, "required" if required else "optional": True}
            if f"this.markWriteOnlyAttribute(" in self.text and re.search(
                rf"\b{name}: this\.markWriteOnlyAttribute\(", self.text
            ):
                entry["write_only"] = True
            if name in ("id", "arn", "tags_all") and not required:
                entry["computed"] = True
            made["attributes"][name] = entry
        for name, held in self.computed(body).items():
            if name not in given and name != "fqn":
                made["attributes"][name] = {"type": held, "computed": True}
        return made

    def nest(self, made, name, value, kind, required):
        struct = re.search(r"(\w+)ToHclTerraform", value).group(1)
        inner = self.struct(struct)
        many = "listMapperHcl" in value or "hashMapperHcl" in value
        if self.nested or re.search(r"MapperHcl\(\w+ToHclTerraform, false\)", value):
            nesting = kind if many else "struct"
            made["attributes"][name] = {
                "nested" if self.nested else "type": (nesting, inner) if self.nested else [kind, object_type(inner)],
                "required" if required else "optional": True,
            }
            return
        made["blocks"][name] = {
            "block": inner,
            "nesting": "struct" if kind == "struct" else kind,
            "min": 1 if required else 0,
            "max": 0 if many or kind == "struct" else 1,
        }

    def struct(self, name):
        """A nested group by the name of its function."""
        body = self.part(f"function {name}ToHclTerraform(")
        return self.block(body, self.reference(name))

    def reference(self, name):
        """The class by which others read a nested group."""
        for candidate in (name[0].upper() + name[1:], *self.shorter(name)):
            body = self.part(f"class {candidate}OutputReference extends")
            if body:
                return body
        if self.settings:
            return ""
        raise ValueError(f"no class reads {name}")

    def shorter(self, name):
        """awsNodeGroupTaintProperty -> NodeGroupTaintProperty, GroupTaintProperty, TaintProperty …"""
        for match in re.finditer(r"[A-Z]", name):
            yield name[match.start() :]

    def computed(self, body):
        """What a class can be asked for, by name, with its type."""
        found = {}
        for _, expression in GETTER.findall(body):
            read = re.search(r"this\.(get\w+Attribute)\('(\w+)'\)", expression)
            if read and read.group(1) in READS:
                held = READS[read.group(1)]
                if "Fn.tolist" in expression:
                    held = ["set", held[1]]
                found[read.group(2)] = held
        for _, group, shape, name, is_set in COMPLEX.findall(body):
            inner = self.part(f"class {group}OutputReference extends")
            if not inner:
                continue
            held = ["object", self.computed(inner)]
            if shape != "OutputReference":
                held = [("set" if is_set == "true" else "list") if shape == "List" else "map", held]
            found.setdefault(name, held)
        return found


def object_type(block):
    """A block as one type."""
    made = {}
    for name, entry in block["attributes"].items():
        made[name] = entry["type"]
    for name, entry in block["blocks"].items():
        made[name] = [entry["nesting"], object_type(entry["block"])]
    return ["object", made]


def packages(folder):
    """Every program file of every package, with the package's name."""
    for wheel in sorted(pathlib.Path(folder).glob("*.whl")):
        with zipfile.ZipFile(wheel) as whole:
            inner = next(name for name in whole.namelist() if name.endswith(".jsii.tgz"))
            with tarfile.open(fileobj=io.BytesIO(whole.read(inner))) as files:
                for entry in files:
                    if entry.name.endswith(".js"):
                        yield wheel.name, files.extractfile(entry).read().decode()


def main(bindings, folder, out):
    asked = wanted(folder)
    made = {}
    for wheel, text in packages(bindings):
        found = re.search(r'^(\w+)\.tfResourceType = "(\w+)"', text, re.M)
        kind = re.search(r"class (\w+) extends cdkt[fn]\.Terraform(Resource|DataSource|Provider) ", text)
        version = re.search(r"providerName: '(\w+)',\s+providerVersion: '([\d.]+)'", text)
        if not (found and kind and version):
            continue
        provider, number = version.groups()
        # providers of one generation have blocks, those of the next have nested attributes
        nested = provider == "cloudflare"
        entry = made.setdefault(
            provider,
            {"version": number, "protocol": 6 if nested else 5, "package": wheel, "resource": {}, "data": {}},
        )
        which = {"Resource": "resource", "DataSource": "data", "Provider": "provider"}[kind.group(2)]
        if which != "provider" and (which, found.group(2)) not in asked:
            continue
        of = Bindings(text, nested, which == "provider")
        block = of.block(of.part("synthesizeHclAttributes() {"), of.part(f"class {kind.group(1)} extends"))
        if which == "provider":
            entry["provider"] = block
        else:
            entry[which][found.group(2)] = block
    pathlib.Path(out).write_text(json.dumps(made))
    for name, entry in made.items():
        print(f"{name} {entry['version']}: {len(entry['resource'])} resources, {len(entry['data'])} data sources")


if __name__ == "__main__":
    main(*sys.argv[1:])
