# Plans only: what must never be destroyed could not be taken down after a test. What the bucket is like is tested
# beside its module.

mock_provider "aws" {
  source = "../tests/mocks"
}

variables {
  region = "af-south-1"
}

run "the_state_has_a_bucket_and_a_key_that_rotates" {
  command = plan

  assert {
    condition     = output.bucket == "microcrop-state-123456789012" && aws_kms_key.state.enable_key_rotation && aws_kms_key.state.deletion_window_in_days == 30
    error_message = "the pipeline and every environment look for another bucket, or its key is easily lost"
  }
}
