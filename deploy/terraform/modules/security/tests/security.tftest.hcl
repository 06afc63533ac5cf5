mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name                      = "microcrop-test"
  environment               = "staging"
  region                    = "af-south-1"
  account_id                = "123456789012"
  vpc_id                    = "vpc-0a1b2c3d4e5f60718"
  cluster_security_group_id = "sg-0123456789abcdef0"
  secrets                   = ["backend-secrets", "payout-secrets"]
  oidc_provider_arn         = "arn:aws:iam::123456789012:oidc-provider/cluster"
  oidc_issuer               = "cluster"
  namespace                 = "microcrop-staging"
  cluster_name              = "microcrop-test"
  backup_buckets            = ["one", "other"]
  alerts_topic_arn          = "arn:aws:sns:af-south-1:123456789012:alerts"
  repository                = "microcrop/microcrop"
  pipeline_issuer_arn       = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
  pipeline_environment      = "staging"
  state_bucket              = "state"
}

run "keys_rotate_and_are_kept_apart" {
  assert {
    condition     = length(aws_kms_key.this) == 3 && alltrue([for key in aws_kms_key.this : key.enable_key_rotation && key.deletion_window_in_days == 30])
    error_message = "a key does not rotate, or could be gone at once"
  }
}

run "secrets_are_places_named_as_the_cluster_asks" {
  assert {
    condition     = output.secret_names == tolist(["microcrop/staging/backend-secrets", "microcrop/staging/payout-secrets"])
    error_message = join(", ", output.secret_names)
  }
  assert {
    condition     = alltrue([for secret in aws_secretsmanager_secret.this : length(secret.replica) == 0])
    error_message = "a secret left its region without being asked to"
  }
}

run "databases_let_the_cluster_in_and_nobody_else" {
  assert {
    condition = alltrue([
      for rule in aws_vpc_security_group_ingress_rule.this :
      rule.referenced_security_group_id == var.cluster_security_group_id && rule.cidr_ipv4 == null && rule.from_port == rule.to_port
    ])
    error_message = "a door is open to more than the cluster"
  }
  assert {
    condition     = { for name, rule in aws_vpc_security_group_ingress_rule.this : name => rule.from_port } == { cache = 6379, database = 5432 } && keys(output.door_ids) == ["cache", "database"]
    error_message = "PostgreSQL or Redis cannot be reached"
  }
}

run "a_pod_takes_its_own_identity_only" {
  assert {
    condition     = keys(output.pod_role_names) == ["backup", "cluster-autoscaler", "external-secrets"] && output.pod_role_names["backup"] == "microcrop-test-backup"
    error_message = "identities are ${join(", ", values(output.pod_role_names))}"
  }
  assert {
    condition = one([
      for condition in data.aws_iam_policy_document.pod_trust["backup"].statement[0].condition : condition.values if endswith(condition.variable, ":sub")
    ])[0] == "system:serviceaccount:microcrop-staging:backup"
    error_message = "another account than backup of the application's namespace could take its identity"
  }
  assert {
    condition     = data.aws_iam_policy_document.external_secrets.statement[0].resources == toset(["arn:aws:secretsmanager:af-south-1:123456789012:secret:microcrop/staging/*"])
    error_message = "the operator reads more than its environment's secrets"
  }
  assert {
    condition     = alltrue([for resource in data.aws_iam_policy_document.backup[0].statement[0].resources : endswith(resource, "/staging/*")])
    error_message = "a backup can touch another environment's"
  }
}

run "the_pipeline_proves_which_environment_it_runs_for" {
  assert {
    condition     = keys(output.pipeline_role_arns) == ["apply-staging", "plan-staging", "staging"]
    error_message = join(", ", keys(output.pipeline_role_arns))
  }
  assert {
    condition     = anytrue([for statement in data.aws_iam_policy_document.plan.statement : statement.effect == "Deny" && contains(statement.actions, "secretsmanager:GetSecretValue")])
    error_message = "a plan could read what is in a secret"
  }
}

run "without_a_cluster_there_are_keys_and_closed_doors" {
  variables {
    has_cluster               = false
    cluster_security_group_id = null
    oidc_provider_arn         = null
    oidc_issuer               = null
    alerts_topic_arn          = null
    secrets                   = []
  }
  assert {
    condition     = length(output.key_arns) == 3 && length(output.pod_role_names) == 0 && length(aws_vpc_security_group_ingress_rule.this) == 0
    error_message = "something is let in though nothing is there"
  }
}

run "a_repository_has_an_owner" {
  command = plan
  variables {
    repository = "microcrop"
  }
  expect_failures = [var.repository]
}
