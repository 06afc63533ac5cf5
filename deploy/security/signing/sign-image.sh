#!/usr/bin/env bash
# Signs an image by its digest, and says what is in it. Called by the pipeline after the push:
#   sign-image.sh REGISTRY/microcrop/backend@sha256:… [sbom.json]
# Keyless: the certificate names the workflow that ran, from the pipeline's own OIDC token
# (`id-token: write`), so there is no signing key to keep or to lose. COSIGN_KEY, if set, is a key
# instead (awskms:///alias/microcrop-signing). Exit 0 only if the signature can be verified afterwards.
set -euo pipefail

die() { printf 'sign-image: %s\n' "$*" >&2; exit 1; }

[ $# -ge 1 ] || die "which image? sign-image.sh REGISTRY/NAME@sha256:DIGEST [SBOM]"
image=$1
sbom=${2:-}
# a tag can be moved between this line and the deployment; a digest cannot
[[ $image =~ ^[^@[:space:]]+@sha256:[0-9a-f]{64}$ ]] || die "\"$image\" names no digest; sign what was pushed, not a tag"
command -v cosign >/dev/null || die "cosign is not installed (the workflow's step cosign-installer brings it)"

with=()
[ -z "${COSIGN_KEY:-}" ] || with=(--key "$COSIGN_KEY")

cosign sign --yes "${with[@]}" "$image"
if [ -n "$sbom" ]; then
    [ -s "$sbom" ] || die "the list of contents $sbom is empty or absent"
    cosign attest --yes "${with[@]}" --type spdxjson --predicate "$sbom" "$image"
fi
exec "$(dirname "$0")/verify-image.sh" "$image"
