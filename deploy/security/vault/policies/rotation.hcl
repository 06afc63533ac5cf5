# Whoever runs rotate-secrets.sh: may write what can be changed while the system runs, look at versions to
# go back to one, and end logins. May not touch `encryption` nor `backend`'s pepper by accident: those
# are written by hand, by an administrator.
path "ENVIRONMENT/microcrop/data/backend" {
  capabilities = ["read", "create", "update", "patch"]
}

path "ENVIRONMENT/microcrop/metadata/backend" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/callbacks" {
  capabilities = ["read", "create", "update", "patch"]
}

path "ENVIRONMENT/microcrop/metadata/callbacks" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/rabbitmq" {
  capabilities = ["read", "create", "update", "patch"]
}

path "ENVIRONMENT/microcrop/metadata/rabbitmq" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/rabbitmq-server" {
  capabilities = ["read", "create", "update", "patch"]
}

path "ENVIRONMENT/microcrop/data/redis" {
  capabilities = ["read", "create", "update", "patch"]
}

path "ENVIRONMENT/microcrop/metadata/redis" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/grafana" {
  capabilities = ["read", "create", "update", "patch"]
}

path "ENVIRONMENT/microcrop/metadata/grafana" {
  capabilities = ["read"]
}

path "sys/leases/revoke-prefix/ENVIRONMENT/database/creds/+" {
  capabilities = ["update", "sudo"]
}

path "ENVIRONMENT/database/rotate-root/microcrop" {
  capabilities = ["update"]
}
