#!/usr/bin/env bash
# Asks the real promtool about both configurations, every rule file and every rule's test. Debian's
# promtool is built without discovery by Kubernetes, so in a copy that one stanza of each job is
# replaced by a fixed target; everything else is read as it is. Changes nothing.
# Called by `cargo xtask deploy-check`.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/token" "$work/ca.crt"

for config in prometheus compose; do
    # the stanza ends at the next line that is indented as little as its own first line
    awk -v token="$work/token" -v ca="$work/ca.crt" -v alerts="$here/alerts" '
        /^    kubernetes_sd_configs:/ { print "    static_configs: [{ targets: [\"replaced:1\"] }]"; skip = 1; next }
        skip && /^     / { next }
        { skip = 0
          gsub("/etc/prometheus/alerts", alerts)
          gsub("/var/run/secrets/kubernetes.io/serviceaccount/token", token)
          gsub("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", ca)
          print }' "$here/prometheus/$config.yml" >"$work/$config.yml"
    # an anchor inside a replaced stanza is gone with it, and its uses are in replaced stanzas only
    promtool check config "$work/$config.yml"
done
promtool check rules "$here"/alerts/*.yml
promtool test rules "$here"/alerts/tests/*.yml
