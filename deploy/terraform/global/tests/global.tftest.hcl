# Plans only: what must never be destroyed could not be taken down after a test. What the buckets are like is tested
# beside their module.

mock_provider "aws" {
  source = "../tests/mocks"
}

mock_provider "aws" {
  alias  = "dr"
  source = "../tests/mocks"
}

mock_provider "cloudflare" {
  source = "../tests/mocks-cloudflare"
}

variables {
  repository         = "microcrop/microcrop"
  cloudflare_zone_id = "0123456789abcdef0123456789abcdef"
}

run "every_environment_has_two_buckets_in_two_regions" {
  command = plan

  assert {
    condition     = output.backup_buckets["production"] == ["microcrop-production-backups", "microcrop-production-backups-dr"] && length(output.backup_buckets) == 3
    error_message = "the overlays name other buckets"
  }
}

run "segments_of_the_log_reach_the_second_region" {
  command = plan

  assert {
    condition     = aws_s3_bucket_replication_configuration.wal["production"].rule[0].filter[0].prefix == "production/wal/" && aws_s3_bucket_replication_configuration.wal["dev"].rule[0].filter[0].prefix == "development/wal/"
    error_message = "what backup.sh does not copy itself is not copied"
  }
}

run "every_image_that_is_built_has_a_repository" {
  command = plan

  assert {
    condition     = contains(output.images, "microcrop/backend") && contains(output.images, "microcrop/backup") && contains(output.images, "microcrop/cache") && length(output.images) == 7
    error_message = join(", ", output.images)
  }
  assert {
    condition     = alltrue([for name, repository in aws_ecr_repository.this : repository.image_tag_mutability == (name == "microcrop/cache" ? "MUTABLE" : "IMMUTABLE")])
    error_message = "a release could be replaced under its own tag"
  }
}

run "nothing_is_cached_and_floods_end_at_cloudflare" {
  command = plan

  assert {
    condition     = alltrue([for host in ["api.microcrop.io", "dev.api.microcrop.io", "staging.api.microcrop.io"] : strcontains(output.never_cached, "\"${host}\"")])
    error_message = output.never_cached
  }
  assert {
    condition     = cloudflare_ruleset.cache.rules[0].action_parameters.cache == false
    error_message = "somebody could be shown another person's screen"
  }
  assert {
    condition     = output.rate.ratelimit.requests_per_period == 2000 && output.rate.ratelimit.period == 10 && strcontains(output.rate.expression, "not (starts_with(http.request.uri.path, \"/api/ussd\")") && strcontains(output.rate.expression, "196.201.214.208/32")
    error_message = "the rate counts gateways, or nobody"
  }
}

run "an_account_may_hold_one_environment" {
  command = plan

  variables {
    overlays = ["production"]
  }
  assert {
    condition     = keys(output.backup_buckets) == ["production"]
    error_message = "another environment's buckets are made here"
  }
}
