# Staging: production's shape at its smallest, for rehearsals.

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
  overlay = "staging"
}

module "platform" {
  source = "../../modules/platform"

  facts      = module.facts
  overlay    = "staging"
  account_id = data.aws_caller_identity.current.account_id
  zones      = 3
  nat        = "one"

  groups = {
    general = { types = ["t3.large"], spot = false, tainted = false, min = 2, max = 5 }
    workers = { types = ["t3.xlarge"], spot = false, tainted = true, min = 1, max = 5 }
    spot    = { types = ["t3.large", "t3a.large"], spot = true, tainted = true, min = 1, max = 4 }
  }
  spot_share = { min = 20, max = 30 }

  # as many connections as production's: a rehearsal that runs out of them earlier proves nothing
  database = {
    instance_class  = "db.t4g.large"
    storage_gib     = { from = 30, to = 100 }
    multi_az        = false
    replicas        = 0
    max_connections = 850
    backup_days     = 7
  }
  database_password = var.database_password
  cache             = { node_type = "cache.t4g.micro", nodes = 1 }
  cache_token       = var.cache_token

  api_cidrs          = var.api_cidrs
  administrators     = var.administrators
  alert_emails       = var.alert_emails
  budget_usd         = 800
  repository         = var.repository
  state_bucket       = "microcrop-state-${data.aws_caller_identity.current.account_id}"
  cloudflare_zone_id = var.cloudflare_zone_id
  keep               = false
}
