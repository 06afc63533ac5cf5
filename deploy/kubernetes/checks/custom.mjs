// Objects of operators' own kinds against the operators' published schemas, strictly:
//   node custom.mjs FOLDER CUSTOM.json...
// FOLDER has node_modules with the packages of package.json. Twice: the schema itself (types, required,
// allowed values) and, because a schema lets unknown fields pass, the TypeScript compiler over the
// object as a literal, which does not. Prints `custom: N objects, K kinds`; exit 1 with each fault.
// Called by `cargo xtask deploy-check`.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

// API group -> package
const PACKAGES = {
  "cert-manager.io": "cert-manager",
  "external-secrets.io": "external-secrets",
  "generators.external-secrets.io": "external-secrets",
  "keda.sh": "keda",
  "monitoring.coreos.com": "prometheus-operator",
};

const [folder, ...files] = process.argv.slice(2);
const home = resolve(folder);
const faults = [];
const kinds = new Set();
const literals = [];
let count = 0;

for (const file of files) {
  for (const object of JSON.parse(readFileSync(file, "utf8"))) {
    const name = `${file}: ${object.kind} ${object.metadata.name}`;
    const [group, version] = object.apiVersion.split("/");
    const of = PACKAGES[group];
    const module = of && `@kubernetes-models/${of}/${group}/${version}/${object.kind}`;
    const path = module && join(home, "node_modules", `${module}.js`);
    if (!module || !existsSync(path)) {
      faults.push(`${name}: no schema of ${object.apiVersion} is known here`);
      continue;
    }
    count += 1;
    kinds.add(`${object.apiVersion} ${object.kind}`);
    const model = await import(pathToFileURL(path).href);
    try {
      new model[object.kind](object).validate();
    } catch (error) {
      faults.push(`${name}: ${error.message}`);
    }
    literals.push(
      `// ${name}\nimport type { I${object.kind} as T${count} } from "${module}";\n` +
        `export const o${count}: T${count} = ${JSON.stringify(object, null, 1)};\n`,
    );
  }
}

const out = join(home, "literals");
mkdirSync(out, { recursive: true });
const program = join(out, "objects.ts");
writeFileSync(program, literals.join("\n"));
const tsc = spawnSync(
  process.execPath,
  [
    join(home, "node_modules/typescript/bin/tsc"),
    "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022",
    "--module", "nodenext", "--moduleResolution", "nodenext", program,
  ],
  { cwd: home, encoding: "utf8" },
);
if (tsc.status !== 0) {
  const lines = readFileSync(program, "utf8").split("\n");
  for (const line of tsc.stdout.split("\n").filter(Boolean)) {
    const at = Number(/\((\d+),/.exec(line)?.[1] ?? 0);
    const title = lines.slice(0, at).reverse().find((text) => text.startsWith("// ")) ?? "";
    faults.push(`${title.slice(3)}: ${line.replace(/^.*?error /, "")}`);
  }
}
for (const fault of faults) console.error(fault);
console.log(`custom: ${count} objects, ${kinds.size} kinds`);
process.exit(faults.length === 0 ? 0 : 1);
