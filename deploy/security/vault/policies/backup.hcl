# A login that reads every row, where Redis is, and what the backup is told.
path "ENVIRONMENT/database/creds/backup" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/database" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/redis" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/pinata" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/backup" {
  capabilities = ["read"]
}
