#!/usr/bin/env bash
# Turns a filled copy of the secrets template into SealedSecrets, which only the cluster's controller
# can open, so that they may be committed. For clusters without Vault:
#   cp deploy/kubernetes/base/secrets/secrets-template.yaml /dev/shm/secrets.yaml   # memory, not disk
#   "$EDITOR" /dev/shm/secrets.yaml
#   deploy/security/sealed-secrets/seal.sh /dev/shm/secrets.yaml microcrop \
#       >deploy/kubernetes/options/secrets-sealed/sealed.yaml
#   shred -u /dev/shm/secrets.yaml
# Secrets of monitoring (the template's label microcrop.io/for) are sealed apart, for microcrop-monitoring.
# SEALING_CERT names the controller's certificate, if the cluster cannot be asked for it.
set -euo pipefail

die() { printf 'seal: %s\n' "$*" >&2; exit 1; }

[ $# -eq 2 ] || die "what, and for which namespace? seal.sh FILLED.yaml NAMESPACE"
filled=$1
namespace=$2
[ -r "$filled" ] || die "$filled cannot be read"
! grep -n 'CHANGE_ME' "$filled" >&2 || die "the lines above are still the template's"
command -v kubeseal >/dev/null || die "kubeseal is not installed"

with=(--controller-namespace kube-system --controller-name sealed-secrets)
[ -z "${SEALING_CERT:-}" ] || with=(--cert "$SEALING_CERT")
# strict: a sealed value opens under its own name in its own namespace only
kubeseal --format yaml --scope strict --namespace "$namespace" "${with[@]}" <"$filled"
