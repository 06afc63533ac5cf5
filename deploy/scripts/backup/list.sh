#!/usr/bin/env bash
# Which backups there are, oldest first, in each place: list.sh. Exit 1 when one
# cannot be read. Settings: ../lib.sh
set -euo pipefail
# shellcheck source=deploy/scripts/lib.sh
. "$(dirname "$0")/../lib.sh"

[ $# -eq 0 ] || die 1 "list.sh"
status=0
for place in local primary dr; do
    if [ "$place" != local ]; then
        [ -n "$(bucket "$place")" ] || continue
        need aws
    fi
    [ "$place" != local ] || [ -d "$work" ] || continue
    stamps "$place" | while read -r stamp; do
        printf '%-8s %s %s\n' "$place" "$stamp" "$(archive_name "$stamp")"
    done || {
        # the other places are still told of
        say "$place ($(bucket "$place")) cannot be read"
        status=1
    }
done
exit "$status"
