# Grafana's first person.
path "ENVIRONMENT/microcrop/data/grafana" {
  capabilities = ["read"]
}
