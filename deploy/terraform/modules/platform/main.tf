# One environment in one region: everything that the overlay of the same name expects to find.

locals {
  name  = "microcrop-${var.facts.environment}${var.suffix}"
  zones = [for letter in slice(["a", "b", "c"], 0, var.zones) : "${var.facts.region}${letter}"]

  all = var.parts == "all"

  pipeline_issuer = "arn:aws:iam::${var.account_id}:oidc-provider/token.actions.githubusercontent.com"
}

module "vpc" {
  source       = "../vpc"
  name         = local.name
  region       = var.facts.region
  cidr         = var.facts.vpc_cidr
  zones        = local.zones
  nat          = var.nat
  logs_key_arn = module.security.key_arns["logs"]
}

module "security" {
  source = "../security"

  name                      = local.name
  environment               = var.facts.environment
  region                    = var.facts.region
  account_id                = var.account_id
  vpc_id                    = module.vpc.vpc_id
  has_cluster               = local.all
  cluster_security_group_id = one(module.eks[*].security_group_id)
  secrets                   = var.make_secrets ? toset(keys(var.facts.secrets)) : []
  secrets_dr_region         = var.replicate_secrets ? var.facts.dr_region : null
  secret_recovery_days      = var.keep ? 30 : 7

  oidc_provider_arn    = one(module.eks[*].oidc_provider_arn)
  oidc_issuer          = one(module.eks[*].oidc_issuer)
  namespace            = var.facts.namespace
  cluster_name         = local.name
  backup_buckets       = [var.facts.backup_bucket, var.facts.backup_dr_bucket]
  alerts_topic_arn     = one(module.monitoring[*].topic_arn)
  repository           = var.repository
  pipeline_issuer_arn  = local.pipeline_issuer
  pipeline_environment = var.overlay
  state_bucket         = var.state_bucket
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
  deployers          = { pipeline = module.security.pipeline_role_arns[var.overlay] }
  groups             = var.groups
  spot_share         = var.spot_share
}

module "rds" {
  source = "../rds"
  count  = var.database == null ? 0 : 1

  name                = local.name
  subnet_ids          = module.vpc.data_subnet_ids
  security_group_ids  = [module.security.database_security_group_id]
  kms_key_arn         = module.security.key_arns["data"]
  instance_class      = var.database.instance_class
  storage_gib         = var.database.storage_gib
  multi_az            = var.database.multi_az
  replicas            = var.database.replicas
  max_connections     = var.database.max_connections
  backup_days         = var.database.backup_days
  source_arn          = var.database.source_arn
  deletion_protection = var.keep
  password            = var.database_password
  password_version    = var.database_password_version
}

module "redis" {
  source = "../redis"
  count  = var.cache == null || !local.all ? 0 : 1

  name               = local.name
  subnet_ids         = module.vpc.data_subnet_ids
  security_group_ids = [module.security.cache_security_group_id]
  kms_key_arn        = module.security.key_arns["data"]
  logs_key_arn       = module.security.key_arns["logs"]
  node_type          = var.cache.node_type
  nodes              = var.cache.nodes
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
  autoscaling_groups  = { for name, group in module.eks[0].autoscaling_groups : name => group if !var.groups[name].tainted }
  cloudflare_zone_id  = var.cloudflare_zone_id
  origin_zone         = var.origin_zone
  failover            = var.failover
  deletion_protection = var.keep
}

module "monitoring" {
  source = "../monitoring"
  count  = local.all ? 1 : 0

  name         = local.name
  topic_name   = "${var.facts.alerts_topic}${var.suffix}"
  account_id   = var.account_id
  logs_key_arn = module.security.key_arns["logs"]
  emails       = var.alert_emails
  budget_usd   = var.budget_usd
  databases = var.database == null ? {} : merge(
    { primary = { identifier = local.name, connections = var.database.max_connections, is_copy = var.database.source_arn != null } },
    { for index in range(var.database.replicas) : "replica-${index + 1}" => {
      identifier = "${local.name}-replica-${index + 1}", connections = var.database.max_connections, is_copy = true
    } },
  )
  caches        = var.cache == null ? [] : module.redis[0].member_ids
  load_balancer = { arn_suffix = module.edge[0].load_balancer_arn_suffix, target_arn_suffix = module.edge[0].target_group_arn_suffix }
  nat_gateways  = module.vpc.nat_gateway_ids
}
