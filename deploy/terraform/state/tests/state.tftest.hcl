# Plans only: what must never be destroyed could not be taken down after a test.

mock_provider "aws" {
  source = "../tests/mocks"
}

variables {
  region = "af-south-1"
}

run "the_state_is_versioned_encrypted_and_private" {
  command = plan

  assert {
    condition     = output.bucket == "microcrop-state-123456789012" && aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "a state that is overwritten is gone"
  }
  assert {
    condition     = aws_s3_bucket_public_access_block.state.restrict_public_buckets && aws_s3_bucket_public_access_block.state.block_public_policy && aws_kms_key.state.enable_key_rotation
    error_message = "the state could be read"
  }
  assert {
    condition     = one([for rule in aws_s3_bucket_lifecycle_configuration.state.rule : rule.expiration[0].days if rule.id == "plans"]) == 14
    error_message = "plans stay for ever"
  }
}
