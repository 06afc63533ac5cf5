#!/usr/bin/env bash
# Prints a version's part of CHANGELOG.md: release-notes.sh v0.1.0
# A version without one is refused: a release that nobody described is not ready.
set -euo pipefail
# shellcheck source=deploy/ci-cd/scripts/place.sh
. "$(dirname "$0")/place.sh"

[ $# -eq 1 ] || die "release-notes.sh VERSION"
version=${1#v}
notes=$(awk -v version="$version" '
    /^## / { inside = (index($0, version) > 0 && $0 ~ "^## \\[?" version "[]) -]?") || $0 == "## " version; next }
    inside { print }' "$root/CHANGELOG.md")
[ -n "${notes//[[:space:]]/}" ] || die "CHANGELOG.md says nothing of $version"
printf '%s\n' "$notes"
