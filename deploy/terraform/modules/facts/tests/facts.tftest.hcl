run "production_is_read_from_its_overlay" {
  variables {
    overlay = "production"
  }

  assert {
    condition     = output.environment == "production" && output.namespace == "microcrop"
    error_message = "the overlay says ${output.environment} in ${output.namespace}"
  }
  assert {
    condition     = can(cidrhost(output.vpc_cidr, 0)) && output.region != output.dr_region
    error_message = "${output.vpc_cidr} is no network, or ${output.region} is its own second region"
  }
  assert {
    condition     = output.host == "api.microcrop.io" && output.origin_zone == "origin.microcrop.io"
    error_message = "the host is ${output.host}, behind it ${output.origin_zone}"
  }
  assert {
    condition     = output.account == null || can(regex("^[0-9]{12}$", output.account))
    error_message = "an account has twelve digits"
  }
  assert {
    condition     = output.backup_bucket != output.backup_dr_bucket && output.alerts_topic == "microcrop-production-alerts"
    error_message = "buckets ${output.backup_bucket}, ${output.backup_dr_bucket}; topic ${output.alerts_topic}"
  }
  assert {
    condition     = contains(keys(output.secrets), "payout-secrets") && contains(output.secrets["migrate-secrets"], "MIGRATE_DATABASE_URL")
    error_message = "the secrets are ${join(", ", keys(output.secrets))}"
  }
  assert {
    condition     = length(output.gateways) > 0 && alltrue([for gateway in output.gateways : can(cidrhost(gateway, 0))])
    error_message = "a gateway is no address"
  }
}

run "an_overlay_that_is_not_there_is_refused" {
  command = plan
  variables {
    overlay = "demo"
  }
  expect_failures = [var.overlay]
}
