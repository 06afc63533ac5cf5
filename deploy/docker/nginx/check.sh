#!/usr/bin/env bash
# Asks the real nginx whether the configuration is one, with and without TLS, and gixy (if given as
# GIXY) whether it is wise. Changes nothing on the machine: /etc/nginx and /etc/hosts are bound over
# in a mount namespace of its own, so it needs to be root. Called by `cargo xtask deploy-check`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/nginx/tls" "$work/nginx/upstreams"
cp "$here"/{nginx,gateways,trusted-proxies,proxy,headers}.conf "$work/nginx/"
cp "$here"/upstreams/*.conf "$work/nginx/upstreams/"
cp /etc/nginx/mime.types "$work/nginx/"
# nginx looks up the names of upstreams when it reads them
cp /etc/hosts "$work/hosts"
echo '127.0.0.1 backend' >>"$work/hosts"

asked() {
    # shellcheck disable=SC2016 # the inner shell expands its own arguments
    unshare -m bash -c 'mount --bind "$1/nginx" /etc/nginx && mount --bind "$1/hosts" /etc/hosts && shift && "$@"' - "$work" "$@"
}

asked nginx -t
cp "$here/tls.conf" "$work/nginx/tls/"
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost \
    -keyout "$work/nginx/tls/tls.key" -out "$work/nginx/tls/tls.crt" 2>/dev/null
asked nginx -t
if [ -n "${GIXY:-}" ]; then
    asked "$GIXY" /etc/nginx/nginx.conf
fi
echo "nginx: accepted with and without TLS"
