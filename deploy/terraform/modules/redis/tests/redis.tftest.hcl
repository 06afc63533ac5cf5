mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name               = "microcrop-test"
  subnet_ids         = ["subnet-0a", "subnet-0b"]
  security_group_ids = ["sg-0a1b2c3d4e5f60718"]
  kms_key_arn        = "arn:aws:kms:af-south-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  logs_key_arn       = "arn:aws:kms:af-south-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  node_type          = "cache.t4g.small"
  nodes              = 2
  token              = "0123456789abcdef0123456789abcdef"
}

run "it_is_encrypted_on_the_way_and_at_rest_and_asks_who_calls" {
  assert {
    condition     = aws_elasticache_replication_group.this.transit_encryption_enabled && aws_elasticache_replication_group.this.at_rest_encryption_enabled && aws_elasticache_replication_group.this.auth_token == var.token
    error_message = "somebody could read along"
  }
}

run "another_zone_takes_over" {
  assert {
    condition     = aws_elasticache_replication_group.this.automatic_failover_enabled && aws_elasticache_replication_group.this.multi_az_enabled
    error_message = "a zone that goes ends every session"
  }
  assert {
    condition     = output.member_ids == ["microcrop-test-001", "microcrop-test-002"]
    error_message = "alarms would watch nodes that do not exist"
  }
}

run "one_node_has_nobody_to_fail_over_to" {
  variables {
    nodes = 1
  }
  assert {
    condition     = !aws_elasticache_replication_group.this.automatic_failover_enabled
    error_message = "ElastiCache refuses this"
  }
}

run "no_node_is_refused" {
  command = plan
  variables {
    nodes = 0
  }
  expect_failures = [var.nodes]
}
