output "contract" {
  description = "What the manifests and COSTS.md are held against by deploy-check."
  value = !local.all ? null : {
    overlay     = var.overlay
    environment = var.facts.environment
    namespace   = var.facts.namespace
    region      = var.facts.region
    vpc_cidr    = var.facts.vpc_cidr
    host        = var.facts.host

    cluster            = one(module.eks[*].name)
    kubernetes_version = one(module.eks[*].kubernetes_version)
    pool_key           = one(module.eks[*].pool_key)
    pools              = one(module.eks[*].pools)
    capacity           = one(module.eks[*].capacity)
    groups             = { for name, group in var.groups : name => { type = group.types[0], spot = group.spot, min = group.min, max = group.max, disk_gib = group.disk_gib } }

    backup = {
      bucket = var.facts.backup_bucket, dr_bucket = var.facts.backup_dr_bucket, dr_region = var.facts.dr_region
      role   = lookup(module.security.pod_role_names, "backup", null), topic = one(module.monitoring[*].topic_name)
    }
    secrets     = module.security.secret_names
    secret_keys = var.facts.secrets

    database      = var.database
    cache         = var.cache
    nat_gateways  = module.vpc.nat_gateways
    keys          = length(module.security.key_arns)
    alarms        = sum([for monitoring in module.monitoring : length(monitoring.alarms)])
    firewall      = one(module.edge[*].firewall_rules)
    node_ports    = one(module.edge[*].node_ports)
    public_record = one(module.edge[*].public_record)
    budget_usd    = var.budget_usd
  }
}

output "cluster" {
  description = "aws eks update-kubeconfig --name THIS"
  value       = one(module.eks[*].name)
}

output "database_address" {
  description = "Host for DATABASE_URL; null where the cluster runs PostgreSQL."
  value       = one(module.rds[*].address)
}

output "database_arn" {
  description = "What a copy in the second region names as its source."
  value       = one(module.rds[*].arn)
}

output "database_identifiers" {
  description = "PostgreSQL instances by name."
  value       = flatten([for database in module.rds : [database.identifier, database.replica_identifiers]])
}

output "cache_address" {
  description = "Host for REDIS_URL; null where the cluster runs Redis."
  value       = one(module.redis[*].address)
}

output "replication_group" {
  description = "REPLICATION_GROUP of rotate-secrets.sh."
  value       = one(module.redis[*].replication_group)
}

output "role_arns" {
  description = "Annotations of service accounts of charts: external-secrets, cluster-autoscaler; and of backup."
  value       = module.security.pod_role_arns
}

output "pipeline_role_arns" {
  description = "AWS_ROLE of each of the pipeline's environments."
  value       = module.security.pipeline_role_arns
}

output "origin" {
  description = "The name behind Cloudflare."
  value       = one(module.edge[*].origin)
}
