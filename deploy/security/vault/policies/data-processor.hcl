# The number work: its database and its bell. No key of personal data.
path "ENVIRONMENT/database/creds/data-processor" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/database" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/rabbitmq" {
  capabilities = ["read"]
}
