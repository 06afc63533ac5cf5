# What the workers' service account may read: their six roles share a pod, and so an identity.
path "ENVIRONMENT/database/creds/workers" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/database" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/rabbitmq" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/encryption" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/callbacks" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/weatherxm" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/pinata" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/swypt" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/mpesa" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/africastalking" {
  capabilities = ["read"]
}
