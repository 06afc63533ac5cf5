# What the pretend providers must be shown. Bound outside production only (configure.sh).
path "ENVIRONMENT/microcrop/data/callbacks" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/africastalking" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/swypt" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/mpesa" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/weatherxm" {
  capabilities = ["read"]
}

path "ENVIRONMENT/microcrop/data/pinata" {
  capabilities = ["read"]
}
