mock_provider "aws" {
  source = "../tests/mocks"
}

mock_provider "cloudflare" {
  source = "../tests/mocks-cloudflare"
}

variables {
  repository         = "microcrop/microcrop"
  cloudflare_zone_id = "0123456789abcdef0123456789abcdef"
  administrators     = ["arn:aws:iam::123456789012:role/people"]
  alert_emails       = ["people@example.org"]
  database_password  = "a password of a test"
}

run "cold_costs_nothing" {
  assert {
    condition     = output.platform == null && output.contract == null
    error_message = "something runs"
  }
}

run "warm_follows_the_first_region" {
  variables {
    stage      = "warm"
    source_arn = "arn:aws:rds:af-south-1:123456789012:db:microcrop-production"
  }
  assert {
    condition     = output.platform.databases == ["microcrop-production-dr"] && output.platform.cluster == null && output.platform.cache == null
    error_message = "there is no copy, or more than a copy"
  }
}

run "serving_takes_the_copy_over_in_place" {
  variables {
    stage       = "serving"
    source_arn  = "arn:aws:rds:af-south-1:123456789012:db:microcrop-production"
    promoted    = true
    cache_token = "0123456789abcdef0123456789abcdef"
  }
  assert {
    condition     = output.contract.region == "eu-west-1" && output.contract.vpc_cidr == "10.30.0.0/16" && output.contract.namespace == "microcrop"
    error_message = "the manifests of production would not fit"
  }
  assert {
    condition     = output.contract.database.source_arn == null && output.contract.database.multi_az && output.platform.databases[0] == "microcrop-production-dr" && output.contract.cluster == "microcrop-production-dr"
    error_message = "the database still follows, or a name is taken twice"
  }
  assert {
    condition     = output.contract.public_record.proxied == [] && output.platform.origin == "api.origin.microcrop.io" && length(output.contract.secrets) == 0
    error_message = "the second region takes the first one's name or secrets away"
  }
  assert {
    condition     = output.contract.capacity.nodes.max == 40 && output.contract.database.replicas == 1 && output.contract.keep
    error_message = "it is smaller or less safe than the first"
  }
}

run "a_fourth_stage_is_refused" {
  command = plan
  variables {
    stage = "lukewarm"
  }
  expect_failures = [var.stage]
}
