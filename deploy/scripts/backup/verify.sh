#!/usr/bin/env bash
# Whether a backup could be restored, without restoring it: checksums, the dump's list of contents,
# the copy of Redis, and what the manifest says of the books.
#
#   verify.sh primary|dr|local|ARCHIVE [STAMP|latest]
#
# Only a restore proves a restore: deploy/scripts/README.md, "Drill". Exit 0, 1, 3. Settings: ../lib.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/scripts/lib.sh
. "$here/../lib.sh"
need pg_restore jq

[ $# -ge 1 ] && [ $# -le 2 ] || die 1 "verify.sh primary|dr|local|ARCHIVE [STAMP|latest]"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
inside=$("$here/fetch.sh" "$1" "${2:-latest}" "$folder")

tables=$(pg_restore --list "$inside/postgres.dump" | grep -c ' TABLE DATA ') || die 3 "the dump cannot be read"
if [ -e "$inside/redis.rdb" ]; then
    need redis-check-rdb
    redis-check-rdb "$inside/redis.rdb" >/dev/null || die 3 "the copy of Redis cannot be read"
fi
jq -e '[.ledger[] | select(.debits != .credits)] == []' "$inside/manifest.json" >/dev/null || die 3 "the ledger of this backup does not balance"
jq -r --arg tables "$tables" '"\(.environment) \(.stamp): \($tables) tables of data, \([.tables[]] | add) rows, \(.files | length) files",
    (.notes[]? | "note: \(.)")' "$inside/manifest.json"
