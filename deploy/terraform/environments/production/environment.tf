# What every environment is made of. production has this file, dev and staging a link to it: they differ in sizes.tf
# and backend.tf.

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

module "facts" {
  source  = "../../modules/facts"
  overlay = local.overlay
}

module "platform" {
  source = "../../modules/platform"

  facts              = module.facts
  size               = local.size
  api_cidrs          = var.api_cidrs
  administrators     = var.administrators
  alert_emails       = var.alert_emails
  repository         = var.repository
  cloudflare_zone_id = var.cloudflare_zone_id
  database_password  = var.database_password
  cache_token        = var.cache_token
}

output "account_id" {
  description = "ACCOUNT of the overlay's facts.env."
  value       = module.platform.account_id
}

output "platform" {
  description = "Addresses, names and roles: the README says where each belongs."
  value       = module.platform.summary
}

output "contract" {
  description = "What the manifests and COSTS.md are held against by deploy-check."
  value       = module.platform.contract
}
