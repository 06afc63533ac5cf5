# The owner's login and nothing else.
path "ENVIRONMENT/database/creds/migrate" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/database" {
  capabilities = ["read"]
}
