#!/usr/bin/env bash
# Whether images were signed by our own pipeline. Called after signing and before every deployment:
#   verify-image.sh REGISTRY/microcrop/backend@sha256:… …
# Exit 0 only if each has a signature by the workflow SIGNED_BY of the repository SIGNED_FOR.
set -euo pipefail

die() { printf 'verify-image: %s\n' "$*" >&2; exit 1; }

[ $# -ge 1 ] || die "which image? verify-image.sh REGISTRY/NAME@sha256:DIGEST …"
for image in "$@"; do
    [[ $image =~ ^[^@[:space:]]+@sha256:[0-9a-f]{64}$ ]] || die "\"$image\" names no digest"
done
command -v cosign >/dev/null || die "cosign is not installed"

if [ -n "${COSIGN_KEY:-}" ]; then
    exec cosign verify --key "$COSIGN_KEY" --output text "$@"
fi
# as GitHub sets it in a workflow; by hand: SIGNED_FOR=owner/repository
repository=${SIGNED_FOR:-${GITHUB_REPOSITORY:-}}
[ -n "$repository" ] || die "whose pipeline? set SIGNED_FOR=owner/repository"
workflow=${SIGNED_BY:-backend-deploy.yml}
quote() { printf %s "$1" | sed 's/[.[\*^$+?(){}|\\]/\\&/g'; }
exec cosign verify --output text \
    --certificate-oidc-issuer https://token.actions.githubusercontent.com \
    --certificate-identity-regexp "^https://github\.com/$(quote "$repository")/\.github/workflows/$(quote "$workflow")@refs/(heads/main|tags/v.+)$" \
    "$@"
