# What an account has once, whatever runs in it: names, images, the pipeline's identity, what is refused everywhere.
# Backups are in backups.tf, Cloudflare's rules in cloudflare.tf. Where environments have accounts of their own this
# is applied in each, with `overlays` saying which live there.

variable "overlays" {
  description = "Environments of this account."
  type        = set(string)
  default     = ["dev", "staging", "production"]
}

variable "repository" {
  description = "The repository whose pipeline may push images, OWNER/NAME."
  type        = string
}

variable "cloudflare_zone_id" {
  description = "The zone at Cloudflare."
  type        = string
}

module "facts" {
  source   = "../modules/facts"
  for_each = var.overlays
  overlay  = each.key
}

locals {
  regions    = distinct([for facts in module.facts : facts.region])
  dr_regions = distinct([for facts in module.facts : facts.dr_region])
  zones      = distinct([for facts in module.facts : facts.origin_zone])

  account   = data.aws_caller_identity.current.account_id
  region    = local.regions[0]
  dr_region = local.dr_regions[0]
  # the zone at Route53 in which load balancers have their names
  origin_zone = local.zones[0]

  tags = { project = "microcrop", made-by = "terraform" }
}

provider "aws" {
  region = local.region
  default_tags {
    tags = local.tags
  }
}

provider "aws" {
  alias  = "dr"
  region = local.dr_region
  default_tags {
    tags = local.tags
  }
}

# its token is CLOUDFLARE_API_TOKEN
provider "cloudflare" {}

data "aws_caller_identity" "current" {}

# one place for both copies of a backup and for names: providers cannot differ by environment
resource "terraform_data" "regions" {
  lifecycle {
    precondition {
      condition     = length(local.regions) == 1 && length(local.dr_regions) == 1 && local.region != local.dr_region
      error_message = "The overlays of one account name one region and one other for copies."
    }
    precondition {
      condition     = length(local.zones) == 1
      error_message = "The overlays of one account have their hosts in one domain."
    }
  }
}

# --- images: what is built (deploy/docker/images.tsv), immutable by tag, and the layers kept between builds
locals {
  images = toset([
    for line in split("\n", file("${path.module}/../../docker/images.tsv")) : split("\t", line)[0]
    if startswith(line, "microcrop/")
  ])
  cache = "microcrop/cache"
}

resource "aws_ecr_repository" "this" {
  #checkov:skip=CKV_AWS_136:images hold no secret; the registry's own encryption is enough and its replication needs no key
  #checkov:skip=CKV_AWS_51:layers are kept under one tag a Dockerfile; images are immutable
  for_each             = setunion(local.images, [local.cache])
  name                 = each.key
  image_tag_mutability = each.key == local.cache ? "MUTABLE" : "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each   = aws_ecr_repository.this
  repository = each.value.name
  policy = jsonencode({ rules = [{
    rulePriority = 1
    description  = "the last fifty releases, and what is signed with them"
    selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = each.key == local.cache ? 10 : 150 }
    action       = { type = "expire" }
  }] })
}

# the second region must be able to start without the first
resource "aws_ecr_replication_configuration" "dr" {
  replication_configuration {
    rule {
      destination {
        region      = local.dr_region
        registry_id = local.account
      }
      repository_filter {
        filter      = "microcrop/"
        filter_type = "PREFIX_MATCH"
      }
    }
  }
}

# --- names of load balancers, asked for by Cloudflare
resource "aws_route53_zone" "origin" {
  #checkov:skip=CKV2_AWS_38:Cloudflare alone asks for these names, within its own resolver
  #checkov:skip=CKV2_AWS_39:who asked for them tells nothing: Cloudflare did
  name = local.origin_zone
}

# --- the pipeline: its runs prove who they are, no key is kept anywhere
resource "aws_iam_openid_connect_provider" "pipeline" {
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_policy_document" "build_trust" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [aws_iam_openid_connect_provider.pipeline.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:aud"
      values   = ["sts.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:sub"
      values   = ["repo:${var.repository}:environment:build"]
    }
  }
}

resource "aws_iam_role" "build" {
  name               = "microcrop-pipeline-build"
  assume_role_policy = data.aws_iam_policy_document.build_trust.json
}

data "aws_iam_policy_document" "build" {
  statement {
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }
  statement {
    actions = [
      "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:DescribeImages",
      "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage",
    ]
    resources = [for repository in aws_ecr_repository.this : repository.arn]
  }
}

resource "aws_iam_role_policy" "build" {
  name   = "push"
  role   = aws_iam_role.build.id
  policy = data.aws_iam_policy_document.build.json
}

# --- refused everywhere in the account
resource "aws_s3_account_public_access_block" "this" {
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# every disk, those of the cluster's volumes too
resource "aws_ebs_encryption_by_default" "this" {
  enabled = true
}

resource "aws_ebs_encryption_by_default" "dr" {
  provider = aws.dr
  enabled  = true
}

output "build_role_arn" {
  description = "AWS_ROLE of the pipeline's environment `build`."
  value       = aws_iam_role.build.arn
}

output "registry" {
  description = "ECR_REGISTRY of the pipeline."
  value       = "${local.account}.dkr.ecr.${local.region}.amazonaws.com"
}

output "images" {
  description = "Repositories of images."
  value       = sort([for repository in aws_ecr_repository.this : repository.name])
}
