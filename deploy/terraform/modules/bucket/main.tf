# A bucket that must not be lost: every version kept for a while, encrypted, closed to the public and to whoever does
# not speak TLS, and never destroyed by Terraform.

variable "name" {
  description = "The bucket's name."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of what is in it; null for the account's own key of S3."
  type        = string
  default     = null
}

variable "version_days" {
  description = "How long a version stays after it was removed or replaced, days."
  type        = number
}

variable "expire_days" {
  description = "What goes by itself: days by the beginning of its name; its versions go a day later."
  type        = map(number)
  default     = {}
}

variable "version_keepers" {
  description = "Roles, by patterns of their ARN, that may remove what they wrote but not the version that stays behind."
  type        = list(string)
  default     = []
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:who read it is in the account's trail
  #checkov:skip=CKV_AWS_144:backups have a second bucket elsewhere; what a state says can be read back from the cloud itself
  #checkov:skip=CKV2_AWS_62:nobody waits for its events
  bucket = var.name

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "NothingInTheClear"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = ["arn:aws:s3:::${var.name}", "arn:aws:s3:::${var.name}/*"]
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

  dynamic "statement" {
    for_each = length(var.version_keepers) > 0 ? [var.version_keepers] : []
    content {
      sid       = "VersionsStay"
      effect    = "Deny"
      actions   = ["s3:DeleteObjectVersion"]
      resources = ["arn:aws:s3:::${var.name}/*"]
      principals {
        type        = "*"
        identifiers = ["*"]
      }
      condition {
        test     = "StringLike"
        variable = "aws:PrincipalArn"
        values   = statement.value
      }
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id
  policy = data.aws_iam_policy_document.this.json
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "versions"
    status = "Enabled"
    filter {
      prefix = ""
    }
    noncurrent_version_expiration {
      noncurrent_days = var.version_days
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  dynamic "rule" {
    for_each = var.expire_days
    content {
      id     = trimsuffix(rule.key, "/")
      status = "Enabled"
      filter {
        prefix = rule.key
      }
      expiration {
        days = rule.value
      }
      noncurrent_version_expiration {
        noncurrent_days = 1
      }
    }
  }
}

output "name" {
  description = "The bucket's name, once it is there."
  value       = aws_s3_bucket.this.bucket
}

output "arn" {
  description = "The bucket, as policies name it."
  value       = aws_s3_bucket.this.arn
}
