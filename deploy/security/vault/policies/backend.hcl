# What the backend's service account may read. ENVIRONMENT is put in by configure.sh.
path "ENVIRONMENT/database/creds/backend" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/database" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/redis" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/rabbitmq" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/encryption" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/backend" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/callbacks" {
  capabilities = ["read"]
}
