# Production. What a month of it costs is COSTS.md, generated from these figures.

provider "aws" {
  region = module.facts.region
  # once the overlay names its account, no other can be changed by mistake
  allowed_account_ids = module.facts.account == null ? null : [module.facts.account]

  default_tags {
    tags = { project = "microcrop", environment = module.facts.environment, made-by = "terraform" }
  }
}

# its token is CLOUDFLARE_API_TOKEN
provider "cloudflare" {}

data "aws_caller_identity" "current" {}

module "facts" {
  source  = "../../modules/facts"
  overlay = "production"
}

module "platform" {
  source = "../../modules/platform"

  facts      = module.facts
  overlay    = "production"
  account_id = data.aws_caller_identity.current.account_id
  zones      = 3
  nat        = "each"

  groups = {
    general = { types = ["t3.large"], spot = false, tainted = false, min = 3, max = 10 }
    workers = { types = ["t3.xlarge"], spot = false, tainted = true, min = 2, max = 20 }
    spot    = { types = ["t3.large", "t3a.large"], spot = true, tainted = true, min = 2, max = 10 }
  }
  spot_share = { min = 20, max = 30 }

  # deploy/kubernetes/README.md, "Connections": 820 with both slots at full size
  database = {
    instance_class  = "db.t4g.large"
    storage_gib     = { from = 100, to = 500 }
    multi_az        = true
    replicas        = 1
    max_connections = 850
  }
  database_password = var.database_password
  cache             = { node_type = "cache.t4g.small", nodes = 2 }
  cache_token       = var.cache_token

  api_cidrs          = var.api_cidrs
  administrators     = var.administrators
  alert_emails       = var.alert_emails
  budget_usd         = 1200
  repository         = var.repository
  state_bucket       = "microcrop-state-${data.aws_caller_identity.current.account_id}"
  cloudflare_zone_id = var.cloudflare_zone_id
  failover           = "PRIMARY"
  replicate_secrets  = true
  keep               = true
}
