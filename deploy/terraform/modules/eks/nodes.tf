# Machines, by group.

resource "aws_iam_role" "nodes" {
  name               = "${var.name}-nodes"
  assume_role_policy = data.aws_iam_policy_document.trust["ec2"].json
}

resource "aws_iam_role_policy_attachment" "nodes" {
  for_each   = toset(["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly"])
  role       = aws_iam_role.nodes.name
  policy_arn = "arn:aws:iam::aws:policy/${each.key}"
}

resource "aws_launch_template" "nodes" {
  for_each               = var.groups
  name                   = "${var.name}-${each.key}"
  update_default_version = true

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_type           = "gp3"
      volume_size           = each.value.disk_gib
      encrypted             = "true"
      delete_on_termination = "true"
    }
  }

  # one hop: a pod cannot ask the machine who it is, and become it
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "${var.name}-${each.key}" }
  }
}

resource "aws_eks_node_group" "this" {
  for_each        = var.groups
  cluster_name    = aws_eks_cluster.this.name
  node_group_name = each.key
  node_role_arn   = aws_iam_role.nodes.arn
  subnet_ids      = var.subnet_ids
  version         = var.kubernetes_version
  ami_type        = "AL2023_x86_64_STANDARD"
  capacity_type   = each.value.spot ? "SPOT" : "ON_DEMAND"
  instance_types  = each.value.types
  labels          = { (local.pool_key) = each.key }

  scaling_config {
    min_size     = each.value.min
    max_size     = each.value.max
    desired_size = each.value.min
  }

  update_config {
    max_unavailable = 1
  }

  launch_template {
    id      = aws_launch_template.nodes[each.key].id
    version = aws_launch_template.nodes[each.key].latest_version
  }

  dynamic "taint" {
    for_each = each.value.tainted ? [each.key] : []
    content {
      key    = local.pool_key
      value  = taint.value
      effect = "NO_SCHEDULE"
    }
  }

  lifecycle {
    # the autoscaler's
    ignore_changes = [scaling_config[0].desired_size]
  }

  depends_on = [aws_iam_role_policy_attachment.nodes, aws_eks_addon.early]
}

# What the autoscaler must know of a group before it has a machine. That the group is the cluster's to grow
# (k8s.io/cluster-autoscaler/enabled and /NAME) EKS writes on it by itself.
resource "aws_autoscaling_group_tag" "nodes" {
  for_each               = local.autoscaler_tags
  autoscaling_group_name = aws_eks_node_group.this[each.value.group].resources[0].autoscaling_groups[0].name

  tag {
    key                 = each.value.key
    value               = each.value.value
    propagate_at_launch = false
  }
}

output "name" {
  description = "The cluster's name."
  value       = aws_eks_cluster.this.name
}

output "kubernetes_version" {
  description = "The version it runs."
  value       = aws_eks_cluster.this.version
}

output "security_group_id" {
  description = "The group that every machine and the control plane are in."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}

output "oidc_provider_arn" {
  description = "The cluster as an issuer of identities."
  value       = aws_iam_openid_connect_provider.this.arn
}

output "oidc_issuer" {
  description = "Its address, without https://."
  value       = local.issuer
}

output "autoscaling_groups" {
  description = "Groups of machines as the load balancer knows them, by group."
  value       = { for name, group in aws_eks_node_group.this : name => group.resources[0].autoscaling_groups[0].name }
}

output "pools" {
  description = "What pods may ask for: label value, and whether it must be tolerated."
  value       = { for name, group in var.groups : name => { tainted = group.tainted } }
}

output "pool_key" {
  description = "Key of the label and the taint."
  value       = local.pool_key
}

output "capacity" {
  description = "Machines and the spot share, per cent of machines and of processors, at rest and at the ceiling."
  value = {
    nodes                    = local.nodes
    spot_share               = local.share
    spot_share_of_processors = local.vcpus_share
  }
}
