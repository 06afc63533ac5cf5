//! Who may reach whom: the network policies of the rendered overlays, evaluated as a cluster would, and
//! held against the table deploy/kubernetes/checks/flows.tsv, exactly: what the table has must be open,
//! and between pods nothing else may be. Never asks a cluster. Called by `deploy-check`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::manifests::{Overlay, called, list, pod, text};
use super::{Deploy, Row};

/// What must be open.
const TABLE: &str = "deploy/kubernetes/checks/flows.tsv";
/// How a pod says what it is.
const NAME: &str = "app.kubernetes.io/name";
/// The overlays that the table is about; the others are production with one choice changed.
const JUDGED: [&str; 3] = ["dev", "staging", "production"];
/// Pods of other people's charts: namespace, the label by which they are known and its value.
const OTHERS: [(&str, &str, &str); 3] = [
    ("ingress-nginx", NAME, "ingress-nginx"),
    ("keda", NAME, "keda-operator"),
    ("kube-system", "k8s-app", "kube-dns"),
];
/// What the resolver listens on.
const DNS_PORT: u64 = 53;

/// A pod, by what policies look at.
struct Pod {
    name: String,
    namespace: String,
    labels: Value,
    /// Names and numbers.
    ports: Vec<(String, u64)>,
}

/// One end of a flow.
#[derive(Clone, Copy)]
enum End<'a> {
    Pod(&'a Pod),
    Address(Ipv4Addr),
}

/// Everything of one overlay that decides.
struct World<'a> {
    policies: Vec<&'a Value>,
    /// Namespace to its labels.
    namespaces: BTreeMap<String, Value>,
    pods: Vec<Pod>,
}

/// A line of the table about one overlay.
#[derive(Debug, PartialEq)]
struct Flow<'t> {
    from: Vec<&'t str>,
    to: Vec<&'t str>,
    ports: Vec<u64>,
    open: bool,
}

/// The row about network policies.
pub(super) fn check(deploy: &Deploy<'_>) -> anyhow::Result<Row> {
    let table = fs::read_to_string(deploy.path(TABLE)).context(TABLE)?;
    let (mut faults, mut open) = (Vec::new(), 0);
    for overlay in deploy.overlays()? {
        if !JUDGED.contains(&overlay.name) {
            continue;
        }
        let world = World::of(overlay)?;
        let (found, count) = judge(&world, &flows(&table, overlay.name)?);
        open += count;
        faults.extend(found.into_iter().map(|f| format!("{}: {f}", overlay.name)));
    }
    Ok(Row::faultless(
        "network policies: who may reach whom",
        "this program",
        &faults,
        format!("{open} ways between pods are open, as in {TABLE}, and no other"),
    ))
}

/// `where from to ports [no]`, by tabs; lists by commas, `all` for every overlay.
fn flows<'t>(table: &'t str, overlay: &str) -> anyhow::Result<Vec<Flow<'t>>> {
    let mut found = Vec::new();
    for line in table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let cells: Vec<&str> = line.split('\t').collect();
        let (overlays, from, to, ports, open) = match cells[..] {
            [overlays, from, to, ports] => (overlays, from, to, ports, true),
            [overlays, from, to, ports, "no"] => (overlays, from, to, ports, false),
            _ => bail!("{TABLE}: four columns, or a fifth that is `no`: {line}"),
        };
        if overlays != "all" && !overlays.split(',').any(|name| name == overlay) {
            continue;
        }
        let ports: Result<Vec<u64>, _> = ports.split(',').map(str::parse).collect();
        found.push(Flow {
            from: from.split(',').collect(),
            to: to.split(',').collect(),
            ports: ports.with_context(|| format!("{TABLE}: {line}"))?,
            open,
        });
    }
    Ok(found)
}

/// What differs from the table, and how many ways between pods are open.
fn judge(world: &World<'_>, flows: &[Flow<'_>]) -> (Vec<String>, usize) {
    let mut faults = Vec::new();
    let mut listed = BTreeSet::new();
    for flow in flows {
        let froms = flow.from.iter().flat_map(|name| world.ends(name));
        for (from_name, from) in froms.collect::<Vec<_>>() {
            for (to_name, to) in flow.to.iter().flat_map(|name| world.ends(name)) {
                for port in &flow.ports {
                    let way = format!("{from_name} -> {to_name}:{port}");
                    match (flow.open, world.allows(from, to, *port)) {
                        (true, false) => faults.push(format!("{way} is closed")),
                        (false, true) => faults.push(format!("{way} is open")),
                        _ => {}
                    }
                    if flow.open {
                        listed.insert(way);
                    }
                }
            }
        }
        for name in flow.from.iter().chain(&flow.to) {
            if world.ends(name).is_empty() {
                faults.push(format!("{TABLE} names {name}, which is not there"));
            }
        }
    }
    for pod in &world.pods {
        if !world.namespaces.contains_key(&pod.namespace) {
            faults.push(format!(
                "{} is in {}, which is not there",
                pod.name, pod.namespace
            ));
        }
    }
    let mut open = 0;
    for from in &world.pods {
        for to in &world.pods {
            for (_, port) in &to.ports {
                if !world.allows(End::Pod(from), End::Pod(to), *port) {
                    continue;
                }
                open += 1;
                let way = format!("{} -> {}:{port}", from.name, to.name);
                // what others do among themselves is theirs
                let ours = OTHERS.iter().all(|(place, ..)| from.namespace != *place);
                let concerns = ours || OTHERS.iter().all(|(place, ..)| to.namespace != *place);
                if concerns && !listed.contains(&way) {
                    faults.push(format!("{way} is open, and not in {TABLE}"));
                }
            }
        }
    }
    (faults, open)
}

impl<'a> World<'a> {
    fn of(overlay: &'a Overlay) -> anyhow::Result<Self> {
        let mut world = World {
            policies: Vec::new(),
            namespaces: BTreeMap::new(),
            pods: Vec::new(),
        };
        for (namespace, label, name) in OTHERS {
            let labels = json!({ "kubernetes.io/metadata.name": namespace });
            world.namespaces.insert(namespace.to_owned(), labels);
            let ports = if label == NAME {
                vec![]
            } else {
                vec![("dns".to_owned(), DNS_PORT)]
            };
            world.pods.push(Pod {
                name: name.to_owned(),
                namespace: namespace.to_owned(),
                labels: json!({ label: name }),
                ports,
            });
        }
        for object in &overlay.objects {
            match text(object, "/kind") {
                "NetworkPolicy" => {
                    readable(&object["spec"]).with_context(|| called(object))?;
                    world.policies.push(object);
                }
                "Namespace" => {
                    let name = text(object, "/metadata/name").to_owned();
                    let mut labels = object["metadata"]["labels"].clone();
                    labels["kubernetes.io/metadata.name"] = json!(name);
                    world.namespaces.insert(name, labels);
                }
                _ => world.pods.extend(of_workload(object)),
            }
        }
        Ok(world)
    }

    /// Every end that a name of the table means: `*`, a pod's name, an address.
    fn ends(&self, name: &str) -> Vec<(String, End<'_>)> {
        if let Ok(address) = name.parse() {
            return vec![(name.to_owned(), End::Address(address))];
        }
        let ours = |pod: &Pod| OTHERS.iter().all(|(place, ..)| pod.namespace != *place);
        let meant = |pod: &&Pod| pod.name == name || (name == "*" && ours(pod));
        let pods = self.pods.iter().filter(meant);
        pods.map(|pod| (pod.name.clone(), End::Pod(pod))).collect()
    }

    /// Whether both ends let it pass.
    fn allows(&self, from: End<'_>, to: End<'_>, port: u64) -> bool {
        self.side("Egress", from, to, to, port) && self.side("Ingress", to, from, to, port)
    }

    /// Whether the policies about `own` let traffic with `other` pass, in one direction.
    fn side(&self, direction: &str, own: End<'_>, other: End<'_>, to: End<'_>, port: u64) -> bool {
        let End::Pod(own) = own else { return true };
        let about: Vec<&&Value> = self
            .policies
            .iter()
            .filter(|policy| text(policy, "/metadata/namespace") == own.namespace)
            .filter(|policy| selects(&policy["spec"]["podSelector"], &own.labels))
            .filter(|policy| list(policy, "/spec/policyTypes").contains(&json!(direction)))
            .collect();
        let (rules, peers) = match direction {
            "Egress" => ("/spec/egress", "/to"),
            _ => ("/spec/ingress", "/from"),
        };
        // a pod that no policy is about is open
        about.is_empty()
            || about.iter().any(|policy| {
                list(policy, rules).iter().any(|rule| {
                    self.names(rule, peers, &own.namespace, other) && opens(rule, to, port)
                })
            })
    }

    /// Whether a rule of a policy in `namespace` names an end.
    fn names(&self, rule: &Value, peers: &str, namespace: &str, end: End<'_>) -> bool {
        let Some(peers) = rule.pointer(peers).and_then(Value::as_array) else {
            return true;
        };
        peers.iter().any(|peer| match end {
            End::Address(address) => {
                within(text(peer, "/ipBlock/cidr"), address)
                    && !list(peer, "/ipBlock/except")
                        .iter()
                        .any(|cidr| within(cidr.as_str().unwrap_or_default(), address))
            }
            End::Pod(_) if peer.get("ipBlock").is_some() => false,
            End::Pod(pod) => {
                let here = match peer.get("namespaceSelector") {
                    None => pod.namespace == namespace,
                    Some(selector) => self
                        .namespaces
                        .get(&pod.namespace)
                        .is_some_and(|labels| selects(selector, labels)),
                };
                here && peer
                    .get("podSelector")
                    .is_none_or(|selector| selects(selector, &pod.labels))
            }
        })
    }
}

/// The pod that a workload makes, named as its label says.
fn of_workload(object: &Value) -> Option<Pod> {
    let spec = pod(object)?;
    let template = match text(object, "/kind") {
        "CronJob" => "/spec/jobTemplate/spec/template",
        _ => "/spec/template",
    };
    let labels = object.pointer(template)?["metadata"]["labels"].clone();
    let ports = list(spec, "/containers").iter();
    let ports = ports.flat_map(|container| list(container, "/ports"));
    Some(Pod {
        name: labels[NAME].as_str().unwrap_or_default().to_owned(),
        namespace: text(object, "/metadata/namespace").to_owned(),
        ports: ports
            .filter_map(|port| {
                Some((
                    text(port, "/name").to_owned(),
                    port["containerPort"].as_u64()?,
                ))
            })
            .collect(),
        labels,
    })
}

/// A selector that asks in another way than this program understands is a fault, never a guess.
fn readable(value: &Value) -> anyhow::Result<()> {
    match value {
        Value::Object(fields) => {
            if let Some(operator) = fields.get("operator")
                && operator != "In"
            {
                bail!("this check does not know the operator {operator}");
            }
            fields.values().try_for_each(readable)
        }
        Value::Array(items) => items.iter().try_for_each(readable),
        _ => Ok(()),
    }
}

/// Whether a selector means what has these labels; an empty one means everything.
fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector["matchLabels"].as_object();
    let equal = wanted
        .into_iter()
        .flatten()
        .all(|(key, value)| labels.get(key) == Some(value));
    equal
        && list(selector, "/matchExpressions").iter().all(|asked| {
            labels
                .get(text(asked, "/key"))
                .is_some_and(|value| list(asked, "/values").contains(value))
        })
}

/// Whether a rule opens a port of `to`; one without ports opens all.
fn opens(rule: &Value, to: End<'_>, port: u64) -> bool {
    let ports = list(rule, "/ports");
    ports.is_empty()
        || ports.iter().any(|opened| {
            if let Some(first) = opened["port"].as_u64() {
                return (first..=opened["endPort"].as_u64().unwrap_or(first)).contains(&port);
            }
            let name = text(opened, "/port");
            matches!(to, End::Pod(pod) if pod.ports.iter().any(|(n, number)| n == name && *number == port))
        })
}

/// Whether `10.0.0.0/8` holds an address; what is no range holds none.
fn within(cidr: &str, address: Ipv4Addr) -> bool {
    let parsed = cidr
        .split_once('/')
        .and_then(|(base, bits)| Some((base.parse::<Ipv4Addr>().ok()?, bits.parse::<u32>().ok()?)));
    parsed.is_some_and(|(base, bits)| {
        let mask = u32::MAX
            .checked_shl(32_u32.saturating_sub(bits))
            .unwrap_or(0);
        base.to_bits() & mask == address.to_bits() & mask
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, port: u64) -> Pod {
        Pod {
            name: name.to_owned(),
            namespace: "a".to_owned(),
            labels: json!({ NAME: name }),
            ports: vec![("p".to_owned(), port)],
        }
    }

    /// Nothing is open but `one` to the port of `two` that is called p, and addresses of 10/8 but 10.1/16.
    fn policies() -> Vec<Value> {
        vec![
            json!({"metadata": {"namespace": "a"}, "spec":
                {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}}),
            json!({"metadata": {"namespace": "a"}, "spec":
                {"podSelector": {"matchLabels": {NAME: "one"}}, "policyTypes": ["Egress"], "egress": [
                    {"to": [{"podSelector": {"matchExpressions": [
                        {"key": NAME, "operator": "In", "values": ["two"]}]}}],
                     "ports": [{"port": 1, "endPort": 5}]},
                    {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}]}}),
            json!({"metadata": {"namespace": "a"}, "spec":
                {"podSelector": {"matchLabels": {NAME: "two"}}, "policyTypes": ["Ingress"], "ingress": [
                    {"from": [{"podSelector": {}}], "ports": [{"port": "p"}]}]}}),
        ]
    }

    fn judged(policies: &[Value], table: &str) -> Vec<String> {
        let world = World {
            policies: policies.iter().collect(),
            namespaces: BTreeMap::from([("a".to_owned(), json!({}))]),
            pods: vec![pod("one", 4), pod("two", 5)],
        };
        judge(&world, &flows(table, "dev").unwrap()).0
    }

    #[test]
    fn what_the_table_has_is_open_and_nothing_else() {
        let table =
            "all\tone\ttwo\t5\ndev\tone\t10.2.0.1\t443\ndev\t*\t10.1.0.1,11.0.0.1\t443\tno\n";
        assert_eq!(judged(&policies(), table), [""; 0]);
        let faults = judged(&policies(), "staging\tone\ttwo\t5\n");
        assert_eq!(faults.len(), 1, "{faults:?}");
        let faults = judged(&policies(), "dev\tone\ttwo\t5\ndev\ttwo\tone\t4\n");
        assert_eq!(faults, ["two -> one:4 is closed"]);
        let faults = judged(&policies(), "dev\tone\ttwo\t5\ndev\tone\t10.2.0.1\t1\tno\n");
        assert_eq!(faults, ["one -> 10.2.0.1:1 is open"]);
    }

    #[test]
    fn without_a_policy_everything_is_open() {
        assert_eq!(judged(&[], "dev\tone\ttwo\t5\n").len(), 3);
    }

    #[test]
    fn a_table_that_cannot_be_read_is_refused() {
        assert!(flows("all\tone\ttwo\n", "dev").is_err());
        assert!(flows("all\tone\ttwo\tport\n", "dev").is_err());
        assert!(readable(&json!({"a": [{"operator": "NotIn"}]})).is_err());
    }

    #[test]
    fn an_address_is_in_a_range_by_its_first_bits() {
        assert!(within("172.20.0.1/32", Ipv4Addr::new(172, 20, 0, 1)));
        assert!(!within("172.20.0.1/32", Ipv4Addr::new(172, 20, 0, 2)));
        assert!(within("0.0.0.0/0", Ipv4Addr::new(1, 2, 3, 4)));
        assert!(!within("", Ipv4Addr::new(1, 2, 3, 4)));
    }
}
