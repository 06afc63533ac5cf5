# The cluster: control plane with its logs and encrypted Secrets, issuer of identities for pods, addons, and groups
# of machines. What runs on it is deploy/kubernetes.

variable "name" {
  description = "The cluster's name, microcrop-ENVIRONMENT."
  type        = string
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes, the one that deploy-check holds every object against."
  type        = string
  validation {
    condition     = tonumber(split(".", var.kubernetes_version)[0]) == 1 && tonumber(split(".", var.kubernetes_version)[1]) >= 30
    error_message = "The manifests need Kubernetes 1.30 or newer (deploy/kubernetes/README.md)."
  }
}

variable "subnet_ids" {
  description = "Private subnets, one a zone."
  type        = list(string)
}

variable "secrets_key_arn" {
  description = "Key that encrypts Secrets in the control plane's store."
  type        = string
}

variable "logs_key_arn" {
  description = "Key that encrypts the control plane's logs."
  type        = string
}

variable "api_cidrs" {
  description = "Who may reach the API server from outside the network; empty closes that door."
  type        = list(string)
}

variable "administrators" {
  description = "Roles of people who may do anything in the cluster, by ARN."
  type        = set(string)
  default     = []
}

variable "deployers" {
  description = "Roles that deploy, by ARN: the pipeline's."
  type        = map(string)
  default     = {}
}

variable "groups" {
  description = "Machines by group. A pool of its own is tainted, so that only who asks for it lands there."
  type = map(object({
    types    = list(string)
    spot     = bool
    tainted  = bool
    min      = number
    max      = number
    disk_gib = optional(number, 50)
  }))
  validation {
    condition     = alltrue([for group in values(var.groups) : group.min <= group.max && group.min >= 0])
    error_message = "A group's least is not above its most."
  }
  validation {
    condition     = alltrue([for group in values(var.groups) : alltrue([for type in group.types : contains(["t3.medium", "t3.large", "t3a.large", "t3.xlarge"], type)])])
    error_message = "A machine whose processors are not known here: add it to `processors` in this module."
  }
}

variable "nodes_max" {
  description = "Machines that all groups may have together."
  type        = number
  default     = 40
}

variable "spot_share" {
  description = "Least and most of the machines that may be spot, per cent, at rest and at the ceiling."
  type        = object({ min = number, max = number })
  default     = { min = 20, max = 30 }
}

variable "log_days" {
  description = "How long the control plane's logs are kept, days."
  type        = number
  default     = 30
}

locals {
  # pods say by this which machines they want (deploy/kubernetes/apps)
  pool_key   = "microcrop.io/pool"
  processors = { "t3.medium" = 2, "t3.large" = 2, "t3a.large" = 2, "t3.xlarge" = 4 }

  # at rest and at the ceiling: all machines and all processors, those of them that are spot, and their share
  ends        = toset(["min", "max"])
  nodes       = { for end in local.ends : end => sum([for group in values(var.groups) : group[end]]) }
  vcpus       = { for end in local.ends : end => sum([for group in values(var.groups) : group[end] * local.processors[group.types[0]]]) }
  spot        = { for name, group in var.groups : name => group if group.spot }
  spot_nodes  = { for end in local.ends : end => sum(concat([0], [for group in values(local.spot) : group[end]])) }
  spot_vcpus  = { for end in local.ends : end => sum(concat([0], [for group in values(local.spot) : group[end] * local.processors[group.types[0]]])) }
  share       = { for end, all in local.nodes : end => all == 0 ? 0 : floor(1000 * local.spot_nodes[end] / all) / 10 }
  vcpus_share = { for end, all in local.vcpus : end => all == 0 ? 0 : floor(1000 * local.spot_vcpus[end] / all) / 10 }

  autoscaler_tags = merge([
    for name, group in var.groups : merge(
      { "${name}/label" = { group = name, key = "k8s.io/cluster-autoscaler/node-template/label/${local.pool_key}", value = name } },
      group.tainted ? { "${name}/taint" = { group = name, key = "k8s.io/cluster-autoscaler/node-template/taint/${local.pool_key}", value = "${name}:NoSchedule" } } : {},
    )
  ]...)
}

resource "aws_cloudwatch_log_group" "control_plane" {
  name              = "/aws/eks/${var.name}/cluster"
  retention_in_days = var.log_days
  kms_key_id        = var.logs_key_arn
}

data "aws_iam_policy_document" "trust" {
  for_each = toset(["eks", "ec2"])

  statement {
    actions = each.key == "eks" ? ["sts:AssumeRole", "sts:TagSession"] : ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["${each.key}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "cluster" {
  name               = "${var.name}-cluster"
  assume_role_policy = data.aws_iam_policy_document.trust["eks"].json
}

resource "aws_iam_role_policy_attachment" "cluster" {
  role       = aws_iam_role.cluster.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
}

resource "aws_eks_cluster" "this" {
  name                          = var.name
  role_arn                      = aws_iam_role.cluster.arn
  version                       = var.kubernetes_version
  bootstrap_self_managed_addons = false

  enabled_cluster_log_types = ["api", "audit", "authenticator", "controllerManager", "scheduler"]

  vpc_config {
    subnet_ids              = var.subnet_ids
    endpoint_private_access = true
    endpoint_public_access  = length(var.api_cidrs) > 0
    public_access_cidrs     = length(var.api_cidrs) > 0 ? var.api_cidrs : null
  }

  encryption_config {
    resources = ["secrets"]
    provider {
      key_arn = var.secrets_key_arn
    }
  }

  access_config {
    authentication_mode                         = "API"
    bootstrap_cluster_creator_admin_permissions = false
  }

  lifecycle {
    precondition {
      condition     = local.nodes.max <= var.nodes_max
      error_message = "The groups may have ${local.nodes.max} machines together, the ceiling is ${var.nodes_max}."
    }
    precondition {
      condition     = alltrue([for share in values(local.share) : share >= var.spot_share.min && share <= var.spot_share.max])
      error_message = "Spot machines are ${local.share.min} % of all at rest and ${local.share.max} % at the ceiling."
    }
  }

  depends_on = [aws_cloudwatch_log_group.control_plane, aws_iam_role_policy_attachment.cluster]
}

# identities of pods: the cloud trusts what the cluster signs
resource "aws_iam_openid_connect_provider" "this" {
  url            = aws_eks_cluster.this.identity[0].oidc[0].issuer
  client_id_list = ["sts.amazonaws.com"]
}

# a release brings namespaces, cluster roles and objects of operators, which no narrower policy of EKS covers: who
# deploys may do what people may
locals {
  admitted = merge({ for role in var.administrators : role => role }, var.deployers)
}

resource "aws_eks_access_entry" "this" {
  for_each      = local.admitted
  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.value
}

resource "aws_eks_access_policy_association" "this" {
  for_each      = local.admitted
  cluster_name  = aws_eks_cluster.this.name
  principal_arn = aws_eks_access_entry.this[each.key].principal_arn
  policy_arn    = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"

  access_scope {
    type = "cluster"
  }
}

# --- addons. The network's enforces network policies, which without it are only text; the disks' makes the
# default storage class, which a cluster since 1.30 no longer has by itself and every volume of ours asks for.
locals {
  addons = {
    vpc-cni            = { enableNetworkPolicy = "true" }
    kube-proxy         = null
    coredns            = null
    aws-ebs-csi-driver = { defaultStorageClass = { enabled = true } }
  }
  # these need machines to run on
  late_addons = ["coredns", "aws-ebs-csi-driver"]
}

data "aws_iam_policy_document" "disks_trust" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [aws_iam_openid_connect_provider.this.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = ["system:serviceaccount:kube-system:ebs-csi-controller-sa"]
    }
  }
}

locals {
  issuer = replace(aws_eks_cluster.this.identity[0].oidc[0].issuer, "https://", "")
}

resource "aws_iam_role" "disks" {
  name               = "${var.name}-disks"
  assume_role_policy = data.aws_iam_policy_document.disks_trust.json
}

resource "aws_iam_role_policy_attachment" "disks" {
  role       = aws_iam_role.disks.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy"
}

resource "aws_eks_addon" "early" {
  for_each             = { for name, settings in local.addons : name => settings if !contains(local.late_addons, name) }
  cluster_name         = aws_eks_cluster.this.name
  addon_name           = each.key
  configuration_values = each.value == null ? null : jsonencode(each.value)

  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"
}

resource "aws_eks_addon" "late" {
  for_each                 = { for name, settings in local.addons : name => settings if contains(local.late_addons, name) }
  cluster_name             = aws_eks_cluster.this.name
  addon_name               = each.key
  configuration_values     = each.value == null ? null : jsonencode(each.value)
  service_account_role_arn = each.key == "aws-ebs-csi-driver" ? aws_iam_role.disks.arn : null

  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  depends_on = [aws_eks_node_group.this]
}
