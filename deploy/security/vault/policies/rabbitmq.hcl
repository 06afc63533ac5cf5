# What the broker's nodes are made with.
path "ENVIRONMENT/microcrop/data/rabbitmq-server" {
  capabilities = ["read"]
}
