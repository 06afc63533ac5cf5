# Plans only: what must never be destroyed could not be taken down after a test.

mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name         = "microcrop-test"
  version_days = 30
}

run "nothing_in_it_is_lost_read_along_or_public" {
  command = plan

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled" && aws_s3_bucket.this.bucket == "microcrop-test"
    error_message = "what is overwritten is gone"
  }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms"
    error_message = "it lies in the clear"
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls, aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls, aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "the public could read it"
  }
  assert {
    condition     = [for statement in data.aws_iam_policy_document.this.statement : statement.sid] == ["NothingInTheClear"]
    error_message = "whoever does not speak TLS is heard"
  }
  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.noncurrent_version_expiration[0].noncurrent_days] == [30]
    error_message = "versions stay for ever, or something goes by itself"
  }
}

run "whoever_writes_may_be_kept_from_removing_versions" {
  command = plan
  variables {
    version_keepers = ["arn:aws:iam::*:role/microcrop-*-backup"]
  }
  assert {
    condition     = one([for statement in data.aws_iam_policy_document.this.statement : statement.actions if statement.sid == "VersionsStay"]) == toset(["s3:DeleteObjectVersion"])
    error_message = "who takes over a pod could remove every backup"
  }
}

run "what_is_of_no_use_later_goes_by_itself" {
  command = plan
  variables {
    expire_days = { "plans/" = 14 }
  }
  assert {
    condition     = one([for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.expiration[0].days if rule.id == "plans" && rule.filter[0].prefix == "plans/"]) == 14
    error_message = "plans stay for ever"
  }
}
