# Two buckets an environment, in two regions. deploy/scripts/disaster-recovery/backup.sh writes each backup to both,
# so that one is whole when the other region is away; segments of the write-ahead log it writes to the first alone,
# and those are what is replicated.

locals {
  buckets = merge([
    for overlay, facts in module.facts : {
      "${overlay}/primary" = { overlay = overlay, name = facts.backup_bucket, environment = facts.environment }
      "${overlay}/dr"      = { overlay = overlay, name = facts.backup_dr_bucket, environment = facts.environment }
    }
  ]...)
  primary = { for key, bucket in local.buckets : bucket.overlay => bucket if endswith(key, "/primary") }
  dr      = { for key, bucket in local.buckets : bucket.overlay => bucket if endswith(key, "/dr") }

  # backup.sh removes what is older than this itself (KEEP_S3_DAYS); versions that were removed stay as long again
  keep_days = 30
}

resource "aws_s3_bucket" "primary" {
  #checkov:skip=CKV_AWS_18:who read it is in the account's trail
  #checkov:skip=CKV2_AWS_62:the script tells, and an alert misses it when it does not
  for_each = local.primary
  bucket   = each.value.name

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket" "dr" {
  #checkov:skip=CKV_AWS_18:who read it is in the account's trail
  #checkov:skip=CKV_AWS_144:it is the copy
  #checkov:skip=CKV2_AWS_62:the script tells, and an alert misses it when it does not
  provider = aws.dr
  for_each = local.dr
  bucket   = each.value.name

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "primary" {
  for_each = local.primary
  bucket   = aws_s3_bucket.primary[each.key].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_versioning" "dr" {
  provider = aws.dr
  for_each = local.dr
  bucket   = aws_s3_bucket.dr[each.key].id
  versioning_configuration {
    status = "Enabled"
  }
}

# the script asks for the account's own key of S3 (--sse aws:kms), and so does the bucket
resource "aws_s3_bucket_server_side_encryption_configuration" "primary" {
  for_each = local.primary
  bucket   = aws_s3_bucket.primary[each.key].id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm = "aws:kms"
    }
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "dr" {
  provider = aws.dr
  for_each = local.dr
  bucket   = aws_s3_bucket.dr[each.key].id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm = "aws:kms"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "primary" {
  for_each                = local.primary
  bucket                  = aws_s3_bucket.primary[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_public_access_block" "dr" {
  provider                = aws.dr
  for_each                = local.dr
  bucket                  = aws_s3_bucket.dr[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

data "aws_iam_policy_document" "bucket" {
  for_each = local.buckets

  statement {
    sid       = "NothingInTheClear"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = ["arn:aws:s3:::${each.value.name}", "arn:aws:s3:::${each.value.name}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
  # whoever takes over a pod of ours can remove a backup, but not the version that stays behind
  statement {
    sid       = "VersionsStay"
    effect    = "Deny"
    actions   = ["s3:DeleteObjectVersion"]
    resources = ["arn:aws:s3:::${each.value.name}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "StringLike"
      variable = "aws:PrincipalArn"
      values   = ["arn:aws:iam::*:role/microcrop-*-backup"]
    }
  }
}

resource "aws_s3_bucket_policy" "primary" {
  for_each = local.primary
  bucket   = aws_s3_bucket.primary[each.key].id
  policy   = data.aws_iam_policy_document.bucket["${each.key}/primary"].json
}

resource "aws_s3_bucket_policy" "dr" {
  provider = aws.dr
  for_each = local.dr
  bucket   = aws_s3_bucket.dr[each.key].id
  policy   = data.aws_iam_policy_document.bucket["${each.key}/dr"].json
}

resource "aws_s3_bucket_lifecycle_configuration" "primary" {
  for_each = local.primary
  bucket   = aws_s3_bucket.primary[each.key].id
  rule {
    id     = "removed"
    status = "Enabled"
    filter {
      prefix = ""
    }
    noncurrent_version_expiration {
      noncurrent_days = local.keep_days
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "dr" {
  provider = aws.dr
  for_each = local.dr
  bucket   = aws_s3_bucket.dr[each.key].id
  rule {
    id     = "removed"
    status = "Enabled"
    filter {
      prefix = ""
    }
    noncurrent_version_expiration {
      noncurrent_days = local.keep_days
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

# --- replication of what only the first bucket is given
data "aws_iam_policy_document" "replication_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "replication" {
  name               = "microcrop-backup-replication"
  assume_role_policy = data.aws_iam_policy_document.replication_trust.json
}

data "aws_iam_policy_document" "replication" {
  statement {
    actions   = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
    resources = [for bucket in local.primary : "arn:aws:s3:::${bucket.name}"]
  }
  statement {
    actions   = ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"]
    resources = [for bucket in local.primary : "arn:aws:s3:::${bucket.name}/*"]
  }
  statement {
    actions   = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"]
    resources = [for bucket in local.dr : "arn:aws:s3:::${bucket.name}/*"]
  }
  # the account's own keys of S3, in both regions, through S3 alone
  statement {
    actions   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]
    resources = ["arn:aws:kms:*:${data.aws_caller_identity.current.account_id}:key/*"]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${local.region}.amazonaws.com", "s3.${local.dr_region}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "replication" {
  name   = "replicate"
  role   = aws_iam_role.replication.id
  policy = data.aws_iam_policy_document.replication.json
}

resource "aws_s3_bucket_replication_configuration" "primary" {
  for_each = local.primary
  bucket   = aws_s3_bucket.primary[each.key].id
  role     = aws_iam_role.replication.arn

  rule {
    id     = "wal"
    status = "Enabled"
    filter {
      prefix = "${each.value.environment}/wal/"
    }
    delete_marker_replication {
      status = "Disabled"
    }
    source_selection_criteria {
      sse_kms_encrypted_objects {
        status = "Enabled"
      }
    }
    destination {
      bucket        = aws_s3_bucket.dr[each.key].arn
      storage_class = "STANDARD_IA"
      encryption_configuration {
        replica_kms_key_id = "arn:aws:kms:${local.dr_region}:${data.aws_caller_identity.current.account_id}:alias/aws/s3"
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.primary, aws_s3_bucket_versioning.dr]
}

output "backup_buckets" {
  description = "Buckets of backups by overlay: the first and the copy."
  value       = { for overlay in var.overlays : overlay => [aws_s3_bucket.primary[overlay].bucket, aws_s3_bucket.dr[overlay].bucket] }
}
