mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name               = "microcrop-test"
  kubernetes_version = "1.33"
  subnet_ids         = ["subnet-0a", "subnet-0b", "subnet-0c"]
  secrets_key_arn    = "arn:aws:kms:af-south-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  logs_key_arn       = "arn:aws:kms:af-south-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  api_cidrs          = ["203.0.113.7/32"]
  administrators     = ["arn:aws:iam::123456789012:role/people"]
  deployers          = { pipeline = "arn:aws:iam::123456789012:role/pipeline" }
  groups = {
    general = { types = ["t3.large"], spot = false, tainted = false, min = 3, max = 10 }
    workers = { types = ["t3.xlarge"], spot = false, tainted = true, min = 2, max = 20 }
    spot    = { types = ["t3.large", "t3a.large"], spot = true, tainted = true, min = 2, max = 10 }
  }
}

run "the_control_plane_encrypts_secrets_and_logs_everything" {
  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].resources == toset(["secrets"]) && length(aws_eks_cluster.this.enabled_cluster_log_types) == 5
    error_message = "Secrets are in the clear, or a log is missing"
  }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.7/32"])
    error_message = "the API server is open to others than those named"
  }
  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "somebody is let in who was not named"
  }
}

run "pools_are_labelled_and_tainted_as_pods_ask" {
  assert {
    condition     = alltrue([for name, group in aws_eks_node_group.this : group.labels["microcrop.io/pool"] == name])
    error_message = "a machine has another pool's label"
  }
  assert {
    condition = alltrue([
      for name, group in aws_eks_node_group.this :
      length(group.taint) == (name == "general" ? 0 : 1) && alltrue([for taint in group.taint : taint.key == "microcrop.io/pool" && taint.value == name && taint.effect == "NO_SCHEDULE"])
    ])
    error_message = "a pool that is kept for somebody is not, or the general one is"
  }
  assert {
    condition     = aws_eks_node_group.this["spot"].capacity_type == "SPOT" && aws_eks_node_group.this["workers"].capacity_type == "ON_DEMAND"
    error_message = "machines that may be taken away are not where they belong"
  }
}

run "machines_keep_their_own_identity_to_themselves" {
  assert {
    condition = alltrue([
      for template in aws_launch_template.nodes :
      template.metadata_options[0].http_tokens == "required" && template.metadata_options[0].http_put_response_hop_limit == 1 && template.block_device_mappings[0].ebs[0].encrypted == "true"
    ])
    error_message = "a pod could ask its machine who it is, or a disk is in the clear"
  }
}

run "the_autoscaler_knows_groups_without_machines" {
  assert {
    condition     = length(aws_autoscaling_group_tag.nodes) == 5 && aws_autoscaling_group_tag.nodes["workers/taint"].tag[0].value == "workers:NoSchedule"
    error_message = "label or taint of a group is not on it"
  }
}

run "volumes_have_a_class_and_policies_are_enforced" {
  assert {
    condition     = jsondecode(aws_eks_addon.late["aws-ebs-csi-driver"].configuration_values).defaultStorageClass.enabled
    error_message = "a volume of ours would wait for ever: a cluster has no default class since 1.30"
  }
  assert {
    condition     = jsondecode(aws_eks_addon.early["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "network policies would be text"
  }
  assert {
    condition     = setunion(keys(aws_eks_addon.early), keys(aws_eks_addon.late)) == toset(["aws-ebs-csi-driver", "coredns", "kube-proxy", "vpc-cni"])
    error_message = "an addon is missing"
  }
}

run "forty_machines_of_which_a_quarter_is_spot" {
  assert {
    condition     = output.capacity.nodes.max == 40 && output.capacity.nodes.min == 7
    error_message = "there may be ${output.capacity.nodes.max}"
  }
  assert {
    condition     = output.capacity.spot_share.min == 28.5 && output.capacity.spot_share.max == 25
    error_message = "spot is ${output.capacity.spot_share.min} % at rest, ${output.capacity.spot_share.max} % at the ceiling"
  }
}

run "nobody_enters_who_was_not_named" {
  assert {
    condition     = toset([for entry in aws_eks_access_entry.this : entry.principal_arn]) == toset(["arn:aws:iam::123456789012:role/people", "arn:aws:iam::123456789012:role/pipeline"])
    error_message = "people or the pipeline are kept out, or others let in"
  }
}

run "a_forty_first_machine_is_refused" {
  command = plan
  variables {
    groups = {
      general = { types = ["t3.large"], spot = false, tainted = false, min = 3, max = 31 }
      spot    = { types = ["t3.large"], spot = true, tainted = true, min = 1, max = 10 }
    }
  }
  expect_failures = [aws_eks_cluster.this]
}

run "too_much_spot_is_refused" {
  command = plan
  variables {
    groups = {
      general = { types = ["t3.large"], spot = false, tainted = false, min = 3, max = 10 }
      spot    = { types = ["t3.large"], spot = true, tainted = true, min = 2, max = 10 }
    }
  }
  expect_failures = [aws_eks_cluster.this]
}

run "an_old_kubernetes_is_refused" {
  command = plan
  variables {
    kubernetes_version = "1.28"
  }
  expect_failures = [var.kubernetes_version]
}
