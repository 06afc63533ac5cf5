#!/usr/bin/env bash
# Prints the manifests of an overlay with the images of one release.
#
#   render.sh deploy/kubernetes/overlays/staging TAG
#
# REGISTRY (…amazonaws.com) is put in front of our images' names. The images component is edited in a
# copy of deploy/, so that a checkout stays as it is and two releases may be rendered at once.
set -euo pipefail
# shellcheck source=deploy/ci-cd/scripts/place.sh
. "$(dirname "$0")/place.sh"

[ $# -eq 2 ] || die "render.sh OVERLAY TAG"
need kubectl awk
overlay=$(cd "$1" 2>/dev/null && pwd) || die "there is no overlay '$1'"
tag=$2
case $overlay in "$root"/deploy/kubernetes/*) ;; *) die "$overlay is not below deploy/kubernetes" ;; esac
case ${REGISTRY:-} in *[!A-Za-z0-9._:/-]*) die "'$REGISTRY' is no registry" ;; esac
case $tag in *[!A-Za-z0-9._-]* | '') die "'$tag' is no tag" ;; esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$root/deploy" "$work/deploy"
images=$work/deploy/kubernetes/images/plain/kustomization.yaml
# `  - {name: microcrop/backend, newTag: 0.1.0}`: ours get this release's tag, and the registry's name
awk -v tag="$tag" -v registry="${REGISTRY:+${REGISTRY%/}/}" '
    match($0, /name: microcrop\/[a-z-]+/) {
        name = substr($0, RSTART + 6, RLENGTH - 6)
        new = registry == "" ? "" : "newName: " registry name ", "
        printf "  - {name: %s, %snewTag: \"%s\"}\n", name, new, tag
        next
    }
    { print }' "$root/deploy/kubernetes/images/plain/kustomization.yaml" >"$images"
kubectl kustomize "$work/${overlay#"$root"/}"
