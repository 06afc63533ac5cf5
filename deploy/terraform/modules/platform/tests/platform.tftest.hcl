mock_provider "aws" {
  source = "../../tests/mocks"
}

mock_provider "cloudflare" {
  source = "../../tests/mocks-cloudflare"
}

variables {
  facts = {
    overlay          = "staging"
    environment      = "staging"
    region           = "af-south-1"
    dr_region        = "eu-west-1"
    namespace        = "microcrop-staging"
    vpc_cidr         = "10.20.0.0/16"
    host             = "staging.api.microcrop.io"
    origin_zone      = "origin.microcrop.io"
    backup_bucket    = "one"
    backup_dr_bucket = "other"
    alerts_topic     = "alerts"
    secrets          = { backend-secrets = ["DATABASE_URL"] }
  }
  size = {
    zones = 3
    nat   = "one"
    groups = {
      general = { types = ["t3.large"], spot = false, tainted = false, min = 3, max = 6 }
      spot    = { types = ["t3.large"], spot = true, tainted = true, min = 1, max = 2 }
    }
    database = {
      instance_class  = "db.t4g.large"
      storage_gib     = { from = 30, to = 100 }
      multi_az        = true
      replicas        = 1
      max_connections = 850
    }
    cache         = { node_type = "cache.t4g.micro", nodes = 1 }
    budget_usd    = 100
    keep          = false
    second_region = true
  }
  api_cidrs          = []
  administrators     = []
  alert_emails       = []
  repository         = "microcrop/microcrop"
  cloudflare_zone_id = "0123456789abcdef0123456789abcdef"
  database_password  = "a password of a test"
  cache_token        = "0123456789abcdef0123456789abcdef"
}

run "the_parts_are_joined" {
  assert {
    condition     = output.contract.cluster == "microcrop-staging" && output.summary.database != null && output.summary.cache != null
    error_message = "a part is missing"
  }
  assert {
    condition     = one(output.contract.secrets) == "microcrop/staging/backend-secrets" && output.contract.backup.topic == "alerts" && output.account_id == "123456789012"
    error_message = "names are not those of the overlay"
  }
  assert {
    condition     = output.contract.groups["general"].disk_gib == 50 && output.contract.kubernetes_version == "1.33" && output.contract.database.backup_days == 30
    error_message = "what is not said is not what is usual"
  }
  # four of each database, one more of its copy, one of the cache, two of the door, one of the way out
  assert {
    condition     = output.contract.alarms == 13
    error_message = "${output.contract.alarms} alarms"
  }
}

run "data_alone_has_neither_cluster_nor_door" {
  variables {
    parts      = "data"
    is_second  = true
    source_arn = "arn:aws:rds:af-south-1:123456789012:db:microcrop-staging"
  }
  assert {
    condition     = output.summary.cluster == null && output.summary.origin == null && output.summary.cache == null && output.contract == null && length(output.summary.roles) == 0
    error_message = "more than data is there"
  }
  assert {
    condition     = output.summary.databases == ["microcrop-staging-dr"]
    error_message = join(", ", output.summary.databases)
  }
}

run "a_second_region_leaves_the_name_and_the_secrets_to_the_first" {
  variables {
    is_second = true
  }
  assert {
    condition     = output.contract.region == "eu-west-1" && output.contract.backup.topic == "alerts-dr" && output.contract.public_record.proxied == [] && length(output.contract.secrets) == 0
    error_message = "two regions make the same things"
  }
}

run "without_servers_of_the_cloud_there_are_none" {
  variables {
    size = {
      zones = 2
      nat   = "one"
      groups = {
        general = { types = ["t3.medium"], spot = false, tainted = false, min = 3, max = 6 }
        spot    = { types = ["t3.medium"], spot = true, tainted = true, min = 1, max = 2 }
      }
      budget_usd = 100
      keep       = false
    }
  }
  assert {
    condition     = output.summary.database == null && output.summary.cache == null && output.contract.alarms == 3 && output.contract.public_record.proxied == [true]
    error_message = "something is paid for that the cluster runs"
  }
}

run "half_a_platform_is_refused" {
  command = plan
  variables {
    parts = "some"
  }
  expect_failures = [var.parts]
}
