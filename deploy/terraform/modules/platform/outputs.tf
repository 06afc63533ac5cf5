output "account_id" {
  description = "The account that it is in."
  value       = local.account
}

output "summary" {
  description = "Addresses, names and roles; null for what is not there."
  value = {
    # aws eks update-kubeconfig --name THIS
    cluster = one(module.eks[*].name)
    # hosts for DATABASE_URL and REDIS_URL; null where the cluster runs them
    database = one(module.rds[*].address)
    cache    = one(module.redis[*].address)
    # what a copy in the second region names as its source
    database_arn = one(module.rds[*].arn)
    databases    = flatten([for database in module.rds : [database.identifier, database.replica_identifiers]])
    # REPLICATION_GROUP of rotate-secrets.sh
    replication_group = one(module.redis[*].replication_group)
    # for service accounts of charts, external-secrets and cluster-autoscaler, and of backup
    roles = module.security.pod_role_arns
    # AWS_ROLE of each of the pipeline's environments
    pipeline_roles = module.security.pipeline_role_arns
    # the name behind Cloudflare
    origin = one(module.edge[*].origin)
  }
}

output "contract" {
  description = "What the manifests and COSTS.md are held against by deploy-check; null without a cluster."
  value = !local.all ? null : {
    environment = var.facts.environment
    namespace   = var.facts.namespace
    region      = local.region
    vpc_cidr    = var.facts.vpc_cidr
    host        = var.facts.host

    cluster            = one(module.eks[*].name)
    kubernetes_version = one(module.eks[*].kubernetes_version)
    pool_key           = one(module.eks[*].pool_key)
    pools              = one(module.eks[*].pools)
    capacity           = one(module.eks[*].capacity)
    groups             = { for name, group in var.size.groups : name => { type = group.types[0], spot = group.spot, min = group.min, max = group.max, disk_gib = group.disk_gib } }

    backup = {
      bucket = var.facts.backup_bucket, dr_bucket = var.facts.backup_dr_bucket, dr_region = var.facts.dr_region
      role   = lookup(module.security.pod_role_names, "backup", null), topic = one(module.monitoring[*].topic_name)
    }
    secrets     = module.security.secret_names
    secret_keys = var.facts.secrets

    database      = local.database
    cache         = local.cache
    nat_gateways  = module.vpc.nat_gateways
    keys          = length(module.security.key_arns)
    alarms        = sum([for monitoring in module.monitoring : length(monitoring.alarms)])
    firewall      = one(module.edge[*].firewall_rules)
    public_record = one(module.edge[*].public_record)
    budget_usd    = var.size.budget_usd
    keep          = var.size.keep
  }
}
