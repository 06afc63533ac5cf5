# Whom Alertmanager tells.
path "ENVIRONMENT/microcrop/data/alertmanager" {
  capabilities = ["read"]
}
