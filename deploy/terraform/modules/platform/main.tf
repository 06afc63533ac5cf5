# One environment in one region: everything that the overlay of the same name expects to find.

data "aws_caller_identity" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  region  = var.is_second ? var.facts.dr_region : var.facts.region
  name    = "microcrop-${var.facts.environment}${local.suffix}"
  suffix  = var.is_second ? "-dr" : ""
  zones   = [for letter in slice(["a", "b", "c"], 0, var.size.zones) : "${local.region}${letter}"]
  all     = var.parts == "all"

  # what only follows another needs nobody to stand by and no copies of its own
  database = var.size.database == null ? null : merge(var.size.database, {
    multi_az   = local.all && var.size.database.multi_az
    replicas   = local.all && var.source_arn == null ? var.size.database.replicas : 0
    source_arn = var.source_arn
  })
  cache = local.all ? var.size.cache : null
  nat   = local.all ? var.size.nat : "none"
}

module "vpc" {
  source       = "../vpc"
  name         = local.name
  region       = local.region
  cidr         = var.facts.vpc_cidr
  zones        = local.zones
  nat          = local.nat
  logs_key_arn = module.security.key_arns["logs"]
}

module "security" {
  source = "../security"

  name                      = local.name
  environment               = var.facts.environment
  region                    = local.region
  account_id                = local.account
  vpc_id                    = module.vpc.vpc_id
  has_cluster               = local.all
  cluster_security_group_id = one(module.eks[*].security_group_id)
  secrets                   = var.is_second ? [] : toset(keys(var.facts.secrets))
  secrets_dr_region         = var.size.second_region ? var.facts.dr_region : null
  secret_recovery_days      = var.size.keep ? 30 : 7

  oidc_provider_arn    = one(module.eks[*].oidc_provider_arn)
  oidc_issuer          = one(module.eks[*].oidc_issuer)
  namespace            = var.facts.namespace
  cluster_name         = local.name
  backup_buckets       = [var.facts.backup_bucket, var.facts.backup_dr_bucket]
  alerts_topic_arn     = one(module.monitoring[*].topic_arn)
  repository           = var.repository
  pipeline_issuer_arn  = "arn:aws:iam::${local.account}:oidc-provider/token.actions.githubusercontent.com" # ../../global
  pipeline_environment = var.facts.overlay
  state_bucket         = "microcrop-state-${local.account}" # ../../state
}

module "eks" {
  source = "../eks"
  count  = local.all ? 1 : 0

  name               = local.name
  kubernetes_version = var.kubernetes_version
  subnet_ids         = module.vpc.private_subnet_ids
  secrets_key_arn    = module.security.key_arns["secrets"]
  logs_key_arn       = module.security.key_arns["logs"]
  api_cidrs          = var.api_cidrs
  administrators     = var.administrators
  deployers          = { pipeline = module.security.pipeline_role_arns[var.facts.overlay] }
  groups             = var.size.groups
}

module "rds" {
  source = "../rds"
  count  = local.database == null ? 0 : 1

  name                = local.name
  subnet_ids          = module.vpc.data_subnet_ids
  security_group_ids  = [module.security.door_ids["database"]]
  kms_key_arn         = module.security.key_arns["data"]
  instance_class      = local.database.instance_class
  storage_gib         = local.database.storage_gib
  multi_az            = local.database.multi_az
  replicas            = local.database.replicas
  max_connections     = local.database.max_connections
  backup_days         = local.database.backup_days
  source_arn          = local.database.source_arn
  deletion_protection = var.size.keep
  password            = var.database_password
  password_version    = local.database.password_version
}

module "redis" {
  source = "../redis"
  count  = local.cache == null ? 0 : 1

  name               = local.name
  subnet_ids         = module.vpc.data_subnet_ids
  security_group_ids = [module.security.door_ids["cache"]]
  kms_key_arn        = module.security.key_arns["data"]
  logs_key_arn       = module.security.key_arns["logs"]
  node_type          = local.cache.node_type
  nodes              = local.cache.nodes
  token              = var.cache_token
}

module "edge" {
  source = "../edge"
  count  = local.all ? 1 : 0

  name                      = local.name
  host                      = var.facts.host
  vpc_id                    = module.vpc.vpc_id
  subnet_ids                = module.vpc.public_subnet_ids
  cluster_security_group_id = module.eks[0].security_group_id
  # machines that may be taken away, or are kept for somebody, take no calls
  autoscaling_groups  = { for name, group in module.eks[0].autoscaling_groups : name => group if !var.size.groups[name].tainted }
  cloudflare_zone_id  = var.cloudflare_zone_id
  origin_zone         = var.facts.origin_zone
  failover            = !var.size.second_region ? null : var.is_second ? "SECONDARY" : "PRIMARY"
  deletion_protection = var.size.keep
}

module "monitoring" {
  source = "../monitoring"
  count  = local.all ? 1 : 0

  name         = local.name
  topic_name   = "${var.facts.alerts_topic}${local.suffix}"
  account_id   = local.account
  logs_key_arn = module.security.key_arns["logs"]
  emails       = var.alert_emails
  budget_usd   = var.size.budget_usd
  databases = local.database == null ? {} : merge(
    { primary = { identifier = module.rds[0].identifier, connections = local.database.max_connections, is_copy = var.source_arn != null } },
    { for index in range(local.database.replicas) : "replica-${index + 1}" => {
      identifier = module.rds[0].replica_identifiers[index], connections = local.database.max_connections, is_copy = true
    } },
  )
  caches        = flatten(module.redis[*].member_ids)
  load_balancer = { arn_suffix = module.edge[0].load_balancer_arn_suffix, target_arn_suffix = module.edge[0].target_group_arn_suffix }
  nat_gateways  = module.vpc.nat_gateway_ids
}
