mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name               = "microcrop-test"
  subnet_ids         = ["subnet-0a", "subnet-0b", "subnet-0c"]
  security_group_ids = ["sg-0a1b2c3d4e5f60718"]
  kms_key_arn        = "arn:aws:kms:af-south-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  user               = "microcrop"
  password           = "a-long-password"
}

run "three_nodes_in_three_zones_for_quorum_queues" {
  assert {
    condition     = aws_mq_broker.this.deployment_mode == "CLUSTER_MULTI_AZ" && length(aws_mq_broker.this.subnet_ids) == 3 && !aws_mq_broker.this.publicly_accessible
    error_message = "a quorum has no majority, or the internet sees it"
  }
  assert {
    condition     = startswith(output.endpoint, "amqps://")
    error_message = output.endpoint
  }
}

run "one_node_has_one_subnet" {
  variables {
    clustered     = false
    instance_type = "mq.t3.micro"
  }
  assert {
    condition     = length(aws_mq_broker.this.subnet_ids) == 1
    error_message = "Amazon MQ refuses this"
  }
}

run "a_short_password_is_refused" {
  command = plan
  variables {
    password = "short"
  }
  expect_failures = [var.password]
}
