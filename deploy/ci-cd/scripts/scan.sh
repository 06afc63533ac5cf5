#!/usr/bin/env bash
# Looks for what is known to be weak.
#
#   scan.sh dependencies    crates: advisories, licences, sources (cargo-deny, deny.toml)
#   scan.sh source          secrets and misconfiguration in the checkout (Trivy)
#   scan.sh images          every image of images.tsv with TAG and REGISTRY (Trivy); what is not on this
#                           machine is pulled by the registry login that docker has
#   scan.sh snyk            the crates, by Snyk, if SNYK_TOKEN is given
#
# Exit 1 on a weakness that is HIGH or CRITICAL and has a remedy. Trivy runs from its own image (TRIVY)
# and fetches its database; without a network this cannot be done, and it says so.
set -euo pipefail
# shellcheck source=deploy/ci-cd/scripts/place.sh
. "$(dirname "$0")/place.sh"
cd "$root"

trivy=${TRIVY:-aquasec/trivy:0.58.1}
reports=$root/target/scan
mkdir -p "$reports"

case ${1:-} in
    dependencies)
        need cargo
        cargo deny check advisories bans licenses sources
        ;;
    source)
        need docker
        docker run --rm --volume "$root:/src:ro" --volume "$reports:/reports" "$trivy" filesystem \
            --scanners secret,misconfig,vuln --severity HIGH,CRITICAL --ignore-unfixed --exit-code 1 \
            --skip-dirs target --skip-dirs bench --format sarif --output /reports/source.sarif /src
        ;;
    images)
        need docker
        login=()
        config=${DOCKER_CONFIG:-$HOME/.docker}/config.json
        [ ! -r "$config" ] || login=(--volume "$config:/root/.docker/config.json:ro")
        while IFS=$'\t' read -r image _; do
            case $image in '#'* | '') continue ;; esac
            name=${REGISTRY:+${REGISTRY%/}/}$image:${TAG:?TAG of the images is needed}
            say "$name"
            docker run --rm --volume /var/run/docker.sock:/var/run/docker.sock "${login[@]}" --volume "$reports:/reports" "$trivy" image \
                --severity HIGH,CRITICAL --ignore-unfixed --exit-code 1 \
                --format sarif --output "/reports/${image##*/}.sarif" "$name"
        done <deploy/docker/images.tsv
        ;;
    snyk)
        if [ -z "${SNYK_TOKEN:-}" ]; then
            say "not run: SNYK_TOKEN is not given"
            exit 0
        fi
        need docker
        docker run --rm --env SNYK_TOKEN --volume "$root:/app:ro" "${SNYK:-snyk/snyk:rust}" snyk test --severity-threshold=high
        ;;
    *) die "scan.sh dependencies|source|images|snyk" ;;
esac
