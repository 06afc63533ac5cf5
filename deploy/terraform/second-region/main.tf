# Production in the second region, as far as it is wanted:
#   cold     nothing runs; backups, images and secrets are there (global, environments/production)
#   warm     a copy of PostgreSQL follows the first region's, seconds behind
#   serving  everything of production, by the same modules; the copy is a database of its own
# The network is production's own range: the two are never joined, and the manifests fit both.

variable "stage" {
  description = "cold, warm or serving."
  type        = string
  default     = "cold"
  validation {
    condition     = contains(["cold", "warm", "serving"], var.stage)
    error_message = "One of cold, warm, serving."
  }
}

variable "source_arn" {
  description = "The first region's PostgreSQL (output database_arn of environments/production): what a warm copy follows."
  type        = string
  default     = null
}

variable "promoted" {
  description = "Whether the database stands on its own: always when it was restored from a backup, and for a copy once the first region is given up."
  type        = bool
  default     = false
}

variable "repository" {
  description = "The repository whose pipeline may act here, OWNER/NAME."
  type        = string
}

variable "cloudflare_zone_id" {
  description = "The zone at Cloudflare."
  type        = string
}

variable "administrators" {
  description = "Roles of people who may do anything in the cluster, by ARN."
  type        = set(string)
  default     = []
}

variable "alert_emails" {
  description = "Who is written to."
  type        = set(string)
  default     = []
}

variable "database_password" {
  description = "The owner's password, when a database of its own is made here."
  type        = string
  default     = null
  sensitive   = true
  ephemeral   = true
}

variable "cache_token" {
  description = "What clients of Redis show at first."
  type        = string
  default     = null
  sensitive   = true
}

provider "aws" {
  region              = module.facts.dr_region
  allowed_account_ids = module.facts.account == null ? null : [module.facts.account]

  default_tags {
    tags = { project = "microcrop", environment = module.facts.environment, stage = var.stage, made-by = "terraform" }
  }
}

# its token is CLOUDFLARE_API_TOKEN
provider "cloudflare" {}

data "aws_caller_identity" "current" {}

module "facts" {
  source  = "../modules/facts"
  overlay = "production"
}

locals {
  suffix = "-dr"
  facts  = merge(module.facts, { region = module.facts.dr_region, dr_region = module.facts.region })

  database = {
    instance_class  = "db.t4g.large"
    storage_gib     = { from = 100, to = 500 }
    multi_az        = var.stage == "serving"
    replicas        = 0
    max_connections = 850
    source_arn      = var.promoted ? null : var.source_arn
  }
}

# warm and serving are the same module, so that a copy becomes the database in place
module "platform" {
  source = "../modules/platform"
  count  = var.stage == "cold" ? 0 : 1

  parts      = var.stage == "warm" ? "data" : "all"
  facts      = local.facts
  overlay    = "production"
  suffix     = local.suffix
  account_id = data.aws_caller_identity.current.account_id
  zones      = 3
  nat        = var.stage == "warm" ? "none" : "each"

  groups = {
    general = { types = ["t3.large"], spot = false, tainted = false, min = 3, max = 10 }
    workers = { types = ["t3.xlarge"], spot = false, tainted = true, min = 2, max = 20 }
    spot    = { types = ["t3.large", "t3a.large"], spot = true, tainted = true, min = 2, max = 10 }
  }
  spot_share = { min = 20, max = 30 }

  database          = local.database
  database_password = var.database_password
  cache             = { node_type = "cache.t4g.small", nodes = 2 }
  cache_token       = var.cache_token

  api_cidrs          = ["0.0.0.0/0"]
  administrators     = var.administrators
  alert_emails       = var.alert_emails
  budget_usd         = 1200
  repository         = var.repository
  state_bucket       = "microcrop-state-${data.aws_caller_identity.current.account_id}"
  cloudflare_zone_id = var.cloudflare_zone_id
  failover           = "SECONDARY"
  make_secrets       = false
  keep               = true
}

output "serving" {
  description = "Addresses, names and roles of the second region; null while it is cold."
  value = one([for platform in module.platform : {
    stage    = var.stage
    cluster  = platform.cluster
    database = platform.database_address
    cache    = platform.cache_address
    roles    = platform.role_arns
    origin   = platform.origin
  }])
}

output "contract" {
  description = "As of production, held against it by the tests."
  value       = one(module.platform[*].contract)
}
