# Development: small, may be away for a minute, PostgreSQL and Redis inside the cluster.

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
  overlay = "dev"
}

module "platform" {
  source = "../../modules/platform"

  facts      = module.facts
  overlay    = "dev"
  account_id = data.aws_caller_identity.current.account_id
  zones      = 2
  nat        = "one"

  groups = {
    general = { types = ["t3.medium"], spot = false, tainted = false, min = 2, max = 4 }
    workers = { types = ["t3.medium"], spot = false, tainted = true, min = 1, max = 2 }
    spot    = { types = ["t3.medium"], spot = true, tainted = true, min = 1, max = 2 }
  }

  database = null
  cache    = null

  api_cidrs          = var.api_cidrs
  administrators     = var.administrators
  alert_emails       = var.alert_emails
  budget_usd         = 400
  repository         = var.repository
  state_bucket       = "microcrop-state-${data.aws_caller_identity.current.account_id}"
  cloudflare_zone_id = var.cloudflare_zone_id
  keep               = false
}
