mock_provider "aws" {
  source = "../../tests/mocks"
}

mock_provider "cloudflare" {
  source = "../../tests/mocks-cloudflare"
}

variables {
  repository         = "microcrop/microcrop"
  cloudflare_zone_id = "0123456789abcdef0123456789abcdef"
  administrators     = ["arn:aws:iam::123456789012:role/people"]
  alert_emails       = ["people@example.org"]
  database_password  = "a password of a test"
  cache_token        = "0123456789abcdef0123456789abcdef"
}

run "contract" {
  assert {
    condition     = output.contract.environment == "production" && output.contract.region == "af-south-1"
    error_message = "production is in ${output.contract.region} (docs/adr/0022)"
  }
  assert {
    condition     = output.contract.capacity.nodes.max == 40 && output.contract.capacity.nodes.min == 7
    error_message = "${output.contract.capacity.nodes.max} machines"
  }
  assert {
    condition     = output.contract.capacity.spot_share.min == 28.5 && output.contract.capacity.spot_share.max == 25
    error_message = "spot is ${output.contract.capacity.spot_share.min} to ${output.contract.capacity.spot_share.max} %"
  }
  assert {
    condition     = output.contract.database.multi_az && output.contract.database.replicas == 1 && output.contract.database.backup_days == 30 && output.contract.database.max_connections >= 850 && output.contract.keep
    error_message = "a zone, a month, a connection or the protection against deletion is missing"
  }
  assert {
    condition     = output.contract.cache.nodes == 2 && output.contract.nat_gateways == 3
    error_message = "a zone that goes takes sessions or the way out with it"
  }
  assert {
    condition     = output.platform.databases == ["microcrop-production", "microcrop-production-replica-1"]
    error_message = join(", ", output.platform.databases)
  }
  assert {
    condition     = length(output.contract.secrets) == length(output.contract.secret_keys) && output.contract.backup.role == "microcrop-production-backup"
    error_message = "a secret has no place, or the backup no identity"
  }
}

run "a_closed_api_server" {
  command = plan
  variables {
    api_cidrs = []
  }
  assert {
    condition     = output.contract.cluster == "microcrop-production"
    error_message = "production needs a door that it can do without"
  }
}
