# Where Terraform remembers what it made: a bucket that keeps every version, encrypted by a key of its own, that
# cannot be deleted by mistake. The lock is a file in it. Applied once an account, before everything else.

variable "region" {
  description = "Region of the bucket: that of the environments (facts.env of the overlays)."
  type        = string
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { project = "microcrop", made-by = "terraform" }
  }
}

data "aws_caller_identity" "current" {}

resource "aws_kms_key" "state" {
  description             = "What Terraform remembers"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json
}

data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_356:in the policy of a key * is that key
  #checkov:skip=CKV_AWS_111:in the policy of a key * is that key
  #checkov:skip=CKV_AWS_109:in the policy of a key * is that key
  statement {
    sid       = "Account"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }
}

# versions of half a year; plans are of no use after their run, and hold what the state holds
module "bucket" {
  source       = "../modules/bucket"
  name         = "microcrop-state-${data.aws_caller_identity.current.account_id}"
  kms_key_arn  = aws_kms_key.state.arn
  version_days = 180
  expire_days  = { "plans/" = 14 }
}

output "bucket" {
  description = "STATE_BUCKET of the pipeline, -backend-config=bucket= of everything else."
  value       = module.bucket.name
}
