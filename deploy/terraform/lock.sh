#!/usr/bin/env bash
# Writes down which copies of the providers are trusted: a .terraform.lock.hcl in every folder that is applied, to be
# committed. Asks the providers' registry, unless told otherwise.
#
#   lock.sh [OPTIONS OF terraform providers lock]
#
# Without options: for the pipeline's machines and people's.
set -euo pipefail
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- -platform=linux_amd64 -platform=linux_arm64 -platform=darwin_arm64
for file in */backend.tf */*/backend.tf; do
    folder=${file%/backend.tf}
    # the versions that modules want count too
    terraform -chdir="$folder" get >/dev/null
    terraform -chdir="$folder" providers lock "$@"
done
