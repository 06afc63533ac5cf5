# Who may do what in the cloud: identities of pods (IRSA), each with what it needs and nothing else, and what the
# pipeline may do in this environment.

variable "oidc_provider_arn" {
  description = "The cluster's own issuer of identities."
  type        = string
}

variable "oidc_issuer" {
  description = "Its address, without https://."
  type        = string
}

variable "namespace" {
  description = "The namespace of the application."
  type        = string
}

variable "cluster_name" {
  description = "The cluster."
  type        = string
}

variable "backup_buckets" {
  description = "The two buckets of backups, by name."
  type        = list(string)
}

variable "alerts_topic_arn" {
  description = "The topic that a backup tells."
  type        = string
}

variable "repository" {
  description = "The repository whose pipeline may act here, OWNER/NAME."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.repository))
    error_message = "OWNER/NAME, as the pipeline's host writes it."
  }
}

variable "pipeline_issuer_arn" {
  description = "The issuer of the pipeline's identities in this account (global)."
  type        = string
}

variable "pipeline_environment" {
  description = "The pipeline's name of this environment: dev, staging, production."
  type        = string
}

variable "state_bucket" {
  description = "The bucket of Terraform's state."
  type        = string
}

locals {
  # identity -> the service accounts that may take it
  pods = !var.has_cluster ? {} : {
    backup             = ["${var.namespace}:backup"]
    external-secrets   = ["external-secrets:external-secrets"]
    cluster-autoscaler = ["kube-system:cluster-autoscaler"]
  }
  # role -> the environments of the pipeline that may take it
  pipeline = !var.has_cluster ? {} : {
    plan   = "plan-${var.pipeline_environment}"
    apply  = "apply-${var.pipeline_environment}"
    deploy = var.pipeline_environment
  }
  buckets = [for bucket in var.backup_buckets : "arn:aws:s3:::${bucket}"]
}

data "aws_iam_policy_document" "pod_trust" {
  for_each = local.pods

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [var.oidc_provider_arn]
    }
    condition {
      test     = "StringEquals"
      variable = "${var.oidc_issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "${var.oidc_issuer}:sub"
      values   = [for account in each.value : "system:serviceaccount:${account}"]
    }
  }
}

resource "aws_iam_role" "pod" {
  for_each           = local.pods
  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.pod_trust[each.key].json
}

# deploy/scripts: put, read back, list, remove what is old; versions that were removed stay for the bucket's rule
data "aws_iam_policy_document" "backup" {
  count = var.has_cluster ? 1 : 0

  statement {
    actions   = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = [for bucket in local.buckets : "${bucket}/${var.environment}/*"]
  }
  statement {
    actions   = ["s3:ListBucket"]
    resources = local.buckets
    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["${var.environment}/*"]
    }
  }
  statement {
    actions   = ["sns:Publish"]
    resources = [var.alerts_topic_arn]
  }
  # the topic is encrypted
  statement {
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = [aws_kms_key.this["logs"].arn]
  }
}

# the operator brings secrets to the cluster; it reads this environment's and no other's
data "aws_iam_policy_document" "external_secrets" {
  statement {
    actions   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
    resources = ["arn:aws:secretsmanager:${var.region}:${var.account_id}:secret:microcrop/${var.environment}/*"]
  }
  statement {
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.this["secrets"].arn]
  }
}

data "aws_iam_policy_document" "cluster_autoscaler" {
  #checkov:skip=CKV_AWS_356:descriptions know no narrower resource; what changes something is bound to the cluster's tag
  statement {
    actions = [
      "autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingInstances",
      "autoscaling:DescribeLaunchConfigurations", "autoscaling:DescribeScalingActivities", "autoscaling:DescribeTags",
      "ec2:DescribeInstanceTypes", "ec2:DescribeLaunchTemplateVersions", "ec2:DescribeImages",
      "ec2:GetInstanceTypesFromInstanceRequirements", "eks:DescribeNodegroup",
    ]
    # descriptions know no narrower resource
    resources = ["*"]
  }
  statement {
    actions   = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
    resources = ["arn:aws:autoscaling:${var.region}:${var.account_id}:autoScalingGroup:*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/k8s.io/cluster-autoscaler/${var.cluster_name}"
      values   = ["owned"]
    }
  }
}

resource "aws_iam_role_policy" "pod" {
  for_each = local.pods
  name     = each.key
  role     = aws_iam_role.pod[each.key].id
  policy = {
    backup             = one(data.aws_iam_policy_document.backup[*].json)
    external-secrets   = data.aws_iam_policy_document.external_secrets.json
    cluster-autoscaler = data.aws_iam_policy_document.cluster_autoscaler.json
  }[each.key]
}

# --- the pipeline: no long-lived key, each of its environments one role
data "aws_iam_policy_document" "pipeline_trust" {
  #checkov:skip=CKV_AWS_358:repository and environment are both named; the scan cannot see through the variables
  for_each = local.pipeline

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [var.pipeline_issuer_arn]
    }
    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:aud"
      values   = ["sts.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:sub"
      values   = ["repo:${var.repository}:environment:${each.value}"]
    }
  }
}

resource "aws_iam_role" "pipeline" {
  for_each             = local.pipeline
  name                 = "${var.name}-pipeline-${each.key}"
  assume_role_policy   = data.aws_iam_policy_document.pipeline_trust[each.key].json
  max_session_duration = 7200
}

# a plan reads everything, and writes its lock and the plan itself beside the state
resource "aws_iam_role_policy_attachment" "plan" {
  count      = var.has_cluster ? 1 : 0
  role       = aws_iam_role.pipeline["plan"].name
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}

data "aws_iam_policy_document" "plan" {
  statement {
    actions = ["s3:PutObject", "s3:DeleteObject"]
    resources = [
      "arn:aws:s3:::${var.state_bucket}/${var.pipeline_environment}/*.tflock",
      "arn:aws:s3:::${var.state_bucket}/plans/*/${var.pipeline_environment}",
    ]
  }
  statement {
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${var.region}.amazonaws.com"]
    }
  }
  # a plan needs no content of a secret
  statement {
    effect    = "Deny"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = ["*"]
  }
}

resource "aws_iam_role_policy" "plan" {
  count  = var.has_cluster ? 1 : 0
  name   = "state"
  role   = aws_iam_role.pipeline["plan"].id
  policy = data.aws_iam_policy_document.plan.json
}

# what makes networks, clusters, keys and roles may do anything; it is used after an approval, for a plan that was read
resource "aws_iam_role_policy_attachment" "apply" {
  count = var.has_cluster ? 1 : 0
  #checkov:skip=CKV_AWS_274:what makes roles and keys cannot be less, and an approval stands before it
  role       = aws_iam_role.pipeline["apply"].name
  policy_arn = "arn:aws:iam::aws:policy/AdministratorAccess"
}

data "aws_iam_policy_document" "deploy" {
  statement {
    actions   = ["eks:DescribeCluster"]
    resources = ["arn:aws:eks:${var.region}:${var.account_id}:cluster/${var.cluster_name}"]
  }
  statement {
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }
  statement {
    actions   = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:DescribeImages", "ecr:BatchCheckLayerAvailability"]
    resources = ["arn:aws:ecr:*:*:repository/microcrop/*"]
  }
}

resource "aws_iam_role_policy" "deploy" {
  count  = var.has_cluster ? 1 : 0
  name   = "deploy"
  role   = aws_iam_role.pipeline["deploy"].id
  policy = data.aws_iam_policy_document.deploy.json
}

output "pod_role_names" {
  description = "Identities of pods by what they are for."
  value       = { for name, role in aws_iam_role.pod : name => role.name }
}

output "pod_role_arns" {
  description = "The same as annotations want them."
  value       = { for name, role in aws_iam_role.pod : name => role.arn }
}

output "pipeline_role_arns" {
  description = "AWS_ROLE of each of the pipeline's environments."
  value       = { for name, role in aws_iam_role.pipeline : local.pipeline[name] => role.arn }
}
