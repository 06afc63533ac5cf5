# Production in the second region, as far as it is wanted:
#   cold     nothing runs; backups, images and secrets are there (global, environments/production)
#   warm     a copy of PostgreSQL follows the first region's, seconds behind
#   serving  everything of production, by the same modules; the copy is a database of its own
# Sizes and what people decide are production's own files, linked. So is the network's range: the two networks are
# never joined, and the manifests fit both.

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
  description = "The first region's PostgreSQL (`database_arn` of production's output `platform`): what a warm copy follows."
  type        = string
  default     = null
}

variable "promoted" {
  description = "Whether the database stands on its own: always when it was restored from a backup, and for a copy once the first region is given up."
  type        = bool
  default     = false
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

module "facts" {
  source  = "../modules/facts"
  overlay = local.overlay
}

# warm and serving are the same module, so that a copy becomes the database in place
module "platform" {
  source = "../modules/platform"
  count  = var.stage == "cold" ? 0 : 1

  facts              = module.facts
  size               = local.size
  is_second          = true
  parts              = var.stage == "warm" ? "data" : "all"
  source_arn         = var.promoted ? null : var.source_arn
  api_cidrs          = var.api_cidrs
  administrators     = var.administrators
  alert_emails       = var.alert_emails
  repository         = var.repository
  cloudflare_zone_id = var.cloudflare_zone_id
  database_password  = var.database_password
  cache_token        = var.cache_token
}

output "platform" {
  description = "Addresses, names and roles of the second region; null while it is cold."
  value       = one(module.platform[*].summary)
}

output "contract" {
  description = "As of production, held against it by the tests; null until it serves."
  value       = one(module.platform[*].contract)
}
