#!/usr/bin/env bash
# Builds every image of deploy/docker/images.tsv, or those named, from this checkout.
#
#   build.sh [microcrop/backend …]
#
# TAG        tag of the images; the commit if not given
# REGISTRY   in front of their names; PUSH=yes sends them there (log in first)
# CACHE      an image in the registry that keeps layers between machines; read and, with PUSH, written
# DIGESTS    a file: name@sha256:… of each image that was sent, for signing
# A tag is never sent twice (the registry refuses it): one that is there stays, and DIGESTS names it, so that a
# run which broke off may be repeated. Who may push is the pipeline's build role alone.
# The compiler's version comes from rust-toolchain.toml, the commit into GET /api/version.
set -euo pipefail
# shellcheck source=deploy/ci-cd/scripts/place.sh
. "$(dirname "$0")/place.sh"
need docker git
if [ "${PUSH:-no}" = yes ]; then need jq; fi

cd "$root"
commit=$(git rev-parse HEAD)
tag=${TAG:-$commit}
registry=${REGISTRY:+${REGISTRY%/}/}
rust=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
built=0
# a name that is misspelt would be left out in silence
for image in "$@"; do
    cut -f 1 deploy/docker/images.tsv | grep -qxF -- "$image" || die "'$image' is not in deploy/docker/images.tsv"
done
metadata=$(mktemp)
trap 'rm -f "$metadata"' EXIT

while IFS=$'\t' read -r image dockerfile target _; do
    case $image in '#'* | '') continue ;; esac
    if [ $# -gt 0 ] && [[ " $* " != *" $image "* ]]; then continue; fi
    command=(docker buildx build --file "$dockerfile" --tag "$registry$image:$tag"
        --build-arg "RUST_VERSION=$rust" --build-arg "REVISION=$commit")
    if [ "$target" != - ]; then command+=(--target "$target"); fi
    if [ -n "${CACHE:-}" ]; then
        # images of one Dockerfile share its layers; nginx and backup have their own
        key=$CACHE:$(basename "$(dirname "$dockerfile")")
        command+=(--cache-from "type=registry,ref=$key")
        if [ "${PUSH:-no}" = yes ]; then
            command+=(--cache-to "type=registry,ref=$key,mode=max,image-manifest=true,oci-mediatypes=true")
        fi
    fi
    # what is in an image, and how it was made, beside it in the registry
    if [ "${PUSH:-no}" = yes ]; then
        command+=(--push --provenance=mode=max --sbom=true --metadata-file "$metadata")
    else
        command+=(--load)
    fi
    digest=
    if [ "${PUSH:-no}" = yes ]; then
        digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$registry$image:$tag" 2>/dev/null || true)
    fi
    if [ -n "$digest" ]; then
        say "$registry$image:$tag is there already: $digest"
    else
        say "$registry$image:$tag"
        "${command[@]}" .
        if [ "${PUSH:-no}" = yes ]; then digest=$(jq -er '."containerimage.digest"' "$metadata"); fi
    fi
    if [ -n "$digest" ] && [ -n "${DIGESTS:-}" ]; then
        printf '%s%s@%s\n' "$registry" "$image" "$digest" >>"$DIGESTS"
    fi
    built=$((built + 1))
done <deploy/docker/images.tsv

[ "$built" -gt 0 ] || die "deploy/docker/images.tsv holds no image"
say "$built images"
