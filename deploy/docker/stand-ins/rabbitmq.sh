#!/bin/bash
# What the published image of RabbitMQ does with RABBITMQ_DEFAULT_USER and RABBITMQ_DEFAULT_PASS, which
# Debian's older program does not read by itself. Without the management page: it costs half a minute of
# start and nothing of ours asks it.
set -euo pipefail
cat >/etc/rabbitmq/rabbitmq.conf <<CONF
default_user = $RABBITMQ_DEFAULT_USER
default_pass = $RABBITMQ_DEFAULT_PASS
loopback_users = none
listeners.tcp.default = 5672
log.console = true
log.console.level = warning
log.file = false
disk_free_limit.absolute = 100MB
vm_memory_high_watermark.absolute = 512MB
CONF
echo '[].' >/etc/rabbitmq/enabled_plugins
chown -R rabbitmq: /var/lib/rabbitmq /etc/rabbitmq
# spinning schedulers of one more virtual machine would take the processors from everybody
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 2:2 +sbwt none"
export HOME=/var/lib/rabbitmq
exec setpriv --reuid rabbitmq --regid rabbitmq --init-groups -- /usr/lib/rabbitmq/bin/rabbitmq-server
