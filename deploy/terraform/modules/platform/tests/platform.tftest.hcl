mock_provider "aws" {
  source = "../../tests/mocks"
}

mock_provider "cloudflare" {
  source = "../../tests/mocks-cloudflare"
}

variables {
  facts = {
    environment      = "staging"
    region           = "af-south-1"
    dr_region        = "eu-west-1"
    namespace        = "microcrop-staging"
    vpc_cidr         = "10.20.0.0/16"
    host             = "staging.api.microcrop.io"
    backup_bucket    = "one"
    backup_dr_bucket = "other"
    alerts_topic     = "alerts"
    secrets          = { backend-secrets = ["DATABASE_URL"] }
  }
  overlay    = "staging"
  account_id = "123456789012"
  zones      = 3
  nat        = "one"
  groups     = { general = { types = ["t3.large"], spot = false, tainted = false, min = 2, max = 4 } }
  database = {
    instance_class  = "db.t4g.large"
    storage_gib     = { from = 30, to = 100 }
    multi_az        = false
    replicas        = 0
    max_connections = 850
  }
  database_password  = "a password of a test"
  cache              = { node_type = "cache.t4g.micro", nodes = 1 }
  cache_token        = "0123456789abcdef0123456789abcdef"
  api_cidrs          = []
  administrators     = []
  alert_emails       = []
  budget_usd         = 100
  repository         = "microcrop/microcrop"
  state_bucket       = "state"
  cloudflare_zone_id = "0123456789abcdef0123456789abcdef"
  keep               = false
}

run "the_parts_are_joined" {
  assert {
    condition     = output.contract.cluster == "microcrop-staging" && output.database_address != null && output.cache_address != null
    error_message = "a part is missing"
  }
  assert {
    condition     = one(output.contract.secrets) == "microcrop/staging/backend-secrets" && output.contract.backup.topic == "alerts"
    error_message = "names are not those of the overlay"
  }
  assert {
    condition     = output.contract.groups["general"].disk_gib == 50 && output.contract.kubernetes_version == "1.33"
    error_message = "what is not said is not what is usual"
  }
}

run "data_alone_has_neither_cluster_nor_door" {
  variables {
    parts   = "data"
    nat     = "none"
    cache   = null
    overlay = "production"
    suffix  = "-dr"
    database = {
      instance_class  = "db.t4g.large"
      storage_gib     = { from = 30, to = 100 }
      multi_az        = false
      replicas        = 0
      max_connections = 850
      source_arn      = "arn:aws:rds:af-south-1:123456789012:db:microcrop-production"
    }
  }
  assert {
    condition     = output.cluster == null && output.origin == null && output.contract == null && length(output.role_arns) == 0
    error_message = "more than data is there"
  }
  assert {
    condition     = output.database_identifiers[0] == "microcrop-staging-dr"
    error_message = join(", ", output.database_identifiers)
  }
}

run "half_a_platform_is_refused" {
  command = plan
  variables {
    parts = "some"
  }
  expect_failures = [var.parts]
}
