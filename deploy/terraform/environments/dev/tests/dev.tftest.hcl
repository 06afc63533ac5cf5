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
  # nobody asks for it here, but Terraform's tests must give what is ephemeral a value
  database_password = "unused"
}

run "contract" {
  assert {
    condition     = output.contract.environment == "development" && output.contract.database == null && output.contract.cache == null
    error_message = "development pays for servers that its cluster runs"
  }
  assert {
    condition     = alltrue([for group in output.contract.groups : group.type == "t3.medium"]) && output.contract.capacity.nodes.max <= 8
    error_message = "development is larger than it need be"
  }
  assert {
    condition     = output.contract.capacity.spot_share.min == 25 && output.contract.capacity.spot_share.max == 25
    error_message = "spot is ${output.contract.capacity.spot_share.min} to ${output.contract.capacity.spot_share.max} %"
  }
  assert {
    condition     = keys(output.contract.pools) == ["general", "spot", "workers"]
    error_message = "a pod of the workers or of the numbers would find no machine of its pool"
  }
  assert {
    condition     = output.platform.pipeline_roles["apply-dev"] != null && output.platform.database == null
    error_message = "the pipeline cannot apply"
  }
}
