# Keys, doors and secrets of one environment. Who may do what is in identities.tf.

variable "name" {
  description = "Name of the environment's things, microcrop-ENVIRONMENT."
  type        = string
}

variable "environment" {
  description = "development, staging or production."
  type        = string
}

variable "region" {
  description = "Region of the environment."
  type        = string
}

variable "account_id" {
  description = "The account."
  type        = string
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "has_cluster" {
  description = "Whether there is a cluster whose machines and pods are let in; without one there are keys and closed doors."
  type        = bool
  default     = true
}

variable "cluster_security_group_id" {
  description = "The group that every machine of the cluster is in."
  type        = string
}

variable "secrets" {
  description = "Names of the Secrets that the cluster asks for; each becomes microcrop/ENVIRONMENT/NAME."
  type        = set(string)
}

variable "secrets_dr_region" {
  description = "Region that holds a copy of each secret; null for none."
  type        = string
  default     = null
}

variable "secret_recovery_days" {
  description = "Days in which a deleted secret can be had back."
  type        = number
  default     = 30
}

locals {
  keys = {
    data    = "what PostgreSQL and Redis write to disk"
    secrets = "Secrets of the cluster and of Secrets Manager"
    logs    = "logs and notices"
  }
  # the services that use the logs' key on their own
  log_services = ["logs.${var.region}.amazonaws.com", "sns.amazonaws.com", "cloudwatch.amazonaws.com", "budgets.amazonaws.com", "events.rds.amazonaws.com"]
}

data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_356:in the policy of a key * is that key
  #checkov:skip=CKV_AWS_111:in the policy of a key * is that key
  #checkov:skip=CKV_AWS_109:in the policy of a key * is that key
  for_each = local.keys

  # the account's own IAM policies decide who uses a key; without this nobody could ever change it again
  statement {
    sid       = "Account"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${var.account_id}:root"]
    }
  }

  dynamic "statement" {
    for_each = each.key == "logs" ? [1] : []
    content {
      sid       = "Services"
      actions   = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
      resources = ["*"]
      principals {
        type        = "Service"
        identifiers = local.log_services
      }
    }
  }
}

resource "aws_kms_key" "this" {
  for_each                = local.keys
  description             = "${var.name}: ${each.value}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key[each.key].json
}

resource "aws_kms_alias" "this" {
  for_each      = local.keys
  name          = "alias/${var.name}-${each.key}"
  target_key_id = aws_kms_key.this[each.key].key_id
}

# --- secrets: places without content. What is in them is put there by people or rotate-secrets.sh, so that no
# plan and no state ever shows it.
resource "aws_secretsmanager_secret" "this" {
  for_each                = var.secrets
  name                    = "microcrop/${var.environment}/${each.key}"
  description             = "Keys of the Secret ${each.key}: deploy/kubernetes/base/secrets/secrets-template.yaml"
  kms_key_id              = aws_kms_key.this["secrets"].arn
  recovery_window_in_days = var.secret_recovery_days

  dynamic "replica" {
    for_each = var.secrets_dr_region == null ? [] : [var.secrets_dr_region]
    content {
      region = replica.value
    }
  }
}

# --- doors: the databases' are opened to the machines of the cluster alone (network policies say which pods);
# the load balancer's group is the edge's
locals {
  doors = {
    database = { what = "PostgreSQL", port = 5432 }
    cache    = { what = "Redis", port = 6379 }
  }
}

resource "aws_security_group" "this" {
  #checkov:skip=CKV2_AWS_5:the module of the server attaches it
  for_each    = local.doors
  name        = "${var.name}-${each.key}"
  description = "${each.value.what} of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-${each.key}" }
}

resource "aws_vpc_security_group_ingress_rule" "this" {
  for_each                     = var.has_cluster ? local.doors : {}
  security_group_id            = aws_security_group.this[each.key].id
  description                  = "${each.value.what} from the cluster"
  referenced_security_group_id = var.cluster_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

output "key_arns" {
  description = "Keys by what they are for: data, secrets, logs."
  value       = { for name, key in aws_kms_key.this : name => key.arn }
}

output "door_ids" {
  description = "Groups that say who may connect: database, cache."
  value       = { for name, group in aws_security_group.this : name => group.id }
}

output "secret_names" {
  description = "What Secrets Manager calls them."
  value       = sort([for secret in aws_secretsmanager_secret.this : secret.name])
}
