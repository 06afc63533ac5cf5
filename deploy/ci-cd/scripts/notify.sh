#!/usr/bin/env bash
# One line into Slack, if somebody gave an address for it.
#
#   SLACK_WEBHOOK=https://… notify.sh TEXT
#
# Without SLACK_WEBHOOK it prints the text and succeeds: a fork has no Slack. A Slack that is away does
# not fail a deployment either; it is said.
set -euo pipefail
# shellcheck source=deploy/ci-cd/scripts/place.sh
. "$(dirname "$0")/place.sh"

[ $# -eq 1 ] || die "notify.sh TEXT"
say "$1"
if [ -z "${SLACK_WEBHOOK:-}" ]; then
    say "(nobody is told: SLACK_WEBHOOK is not given)"
    exit 0
fi
need curl jq
# the address is a secret: by standard input, not among the arguments that others on the machine see
jq -n --arg text "$1" '{text: $text}' |
    curl --silent --show-error --fail --max-time 10 --output /dev/null \
        --header 'Content-Type: application/json' --data-binary @- --config <(printf 'url = "%s"\n' "$SLACK_WEBHOOK") ||
    say "Slack did not take it"
