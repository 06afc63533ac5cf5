# Two buckets an environment, in two regions. deploy/scripts/disaster-recovery/backup.sh writes each backup to both,
# so that one is whole when the other region is away; segments of the write-ahead log it writes to the first alone,
# and those are what is replicated.

locals {
  # backup.sh removes what is older than this itself (KEEP_S3_DAYS); versions that were removed stay as long again
  keep_days = 30
  # whoever takes over a pod of ours can remove a backup, but not the version that stays behind
  version_keepers = ["arn:aws:iam::*:role/microcrop-*-backup"]
}

# both are asked for the account's own key of S3 by the script (--sse aws:kms), and so they are by themselves
module "backups" {
  source          = "../modules/bucket"
  for_each        = module.facts
  name            = each.value.backup_bucket
  version_days    = local.keep_days
  version_keepers = local.version_keepers
}

module "backups_dr" {
  source          = "../modules/bucket"
  for_each        = module.facts
  providers       = { aws = aws.dr }
  name            = each.value.backup_dr_bucket
  version_days    = local.keep_days
  version_keepers = local.version_keepers
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
    resources = [for bucket in module.backups : bucket.arn]
  }
  statement {
    actions   = ["s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"]
    resources = [for bucket in module.backups : "${bucket.arn}/*"]
  }
  statement {
    actions   = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"]
    resources = [for bucket in module.backups_dr : "${bucket.arn}/*"]
  }
  # the account's own keys of S3, in both regions, through S3 alone
  statement {
    actions   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]
    resources = ["arn:aws:kms:*:${local.account}:key/*"]
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

resource "aws_s3_bucket_replication_configuration" "wal" {
  for_each = module.facts
  bucket   = module.backups[each.key].name
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
      bucket        = module.backups_dr[each.key].arn
      storage_class = "STANDARD_IA"
      encryption_configuration {
        replica_kms_key_id = "arn:aws:kms:${local.dr_region}:${local.account}:alias/aws/s3"
      }
    }
  }

  # both keep versions by then
  depends_on = [module.backups, module.backups_dr]
}

output "backup_buckets" {
  description = "Buckets of backups by overlay: the first and the copy."
  value       = { for overlay in var.overlays : overlay => [module.backups[overlay].name, module.backups_dr[overlay].name] }
}
