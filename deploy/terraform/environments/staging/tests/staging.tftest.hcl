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
    condition     = output.contract.environment == "staging" && output.contract.database.max_connections == 850 && !output.contract.database.multi_az
    error_message = "a rehearsal with other limits proves nothing, and one that cannot fall costs too much"
  }
  assert {
    condition     = output.contract.public_record.proxied == [true] && output.platform.origin == "staging-api.origin.microcrop.io"
    error_message = "staging is reached otherwise than production"
  }
  assert {
    condition     = output.contract.capacity.spot_share.min >= 20 && output.contract.capacity.spot_share.max <= 30
    error_message = "spot is ${output.contract.capacity.spot_share.min} to ${output.contract.capacity.spot_share.max} %"
  }
}
