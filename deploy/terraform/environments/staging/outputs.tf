output "account_id" {
  description = "ACCOUNT of the overlay's facts.env."
  value       = data.aws_caller_identity.current.account_id
}

output "platform" {
  description = "Addresses, names and roles: the README says where each belongs."
  value = {
    cluster           = module.platform.cluster
    database          = module.platform.database_address
    database_arn      = module.platform.database_arn
    databases         = module.platform.database_identifiers
    cache             = module.platform.cache_address
    replication_group = module.platform.replication_group
    roles             = module.platform.role_arns
    pipeline_roles    = module.platform.pipeline_role_arns
    origin            = module.platform.origin
  }
}

output "contract" {
  description = "What the manifests and COSTS.md are held against by deploy-check."
  value       = module.platform.contract
}
