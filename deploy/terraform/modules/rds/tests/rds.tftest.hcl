mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name               = "microcrop-test"
  subnet_ids         = ["subnet-0a", "subnet-0b", "subnet-0c"]
  security_group_ids = ["sg-0a1b2c3d4e5f60718"]
  kms_key_arn        = "arn:aws:kms:af-south-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  instance_class     = "db.t4g.large"
  storage_gib        = { from = 100, to = 500 }
  multi_az           = true
  replicas           = 1
  max_connections    = 850
  password           = "a password of a test"
}

run "it_is_encrypted_kept_and_watched" {
  assert {
    condition     = aws_db_instance.primary.storage_encrypted && !aws_db_instance.primary.publicly_accessible && aws_db_instance.primary.deletion_protection && !aws_db_instance.primary.skip_final_snapshot
    error_message = "the database is in the clear, public, or easily lost"
  }
  assert {
    condition     = aws_db_instance.primary.multi_az && aws_db_instance.primary.backup_retention_period == 30
    error_message = "a zone that goes takes the database with it, or a month cannot be gone back"
  }
  assert {
    condition     = aws_db_instance.primary.performance_insights_enabled && aws_db_instance.primary.monitoring_interval == 60
    error_message = "nobody could say why it is slow"
  }
}

run "no_state_holds_the_password" {
  assert {
    condition     = aws_db_instance.primary.password == null && aws_db_instance.primary.password_wo_version == 1
    error_message = "the password is written down"
  }
}

run "connections_are_enough_and_only_by_tls" {
  assert {
    condition     = { for parameter in aws_db_parameter_group.this.parameter : parameter.name => parameter.value }["max_connections"] == "850"
    error_message = "PostgreSQL allows another number of connections"
  }
  assert {
    condition     = { for parameter in aws_db_parameter_group.this.parameter : parameter.name => parameter.value }["rds.force_ssl"] == "1"
    error_message = "a connection in the clear would be taken"
  }
}

run "a_copy_is_as_large_as_its_source" {
  assert {
    condition     = length(aws_db_instance.replica) == 1 && aws_db_instance.replica[0].instance_class == aws_db_instance.primary.instance_class && aws_db_instance.replica[0].replicate_source_db == "microcrop-test"
    error_message = "the copy could not follow"
  }
}

run "a_copy_in_another_region_has_no_owner_of_its_own" {
  variables {
    source_arn = "arn:aws:rds:af-south-1:123456789012:db:microcrop-production"
    replicas   = 0
  }
  assert {
    condition     = aws_db_instance.primary.replicate_source_db == var.source_arn && aws_db_instance.primary.kms_key_id == var.kms_key_arn
    error_message = "it copies nothing, or with the other region's key"
  }
}

run "no_backup_is_refused" {
  command = plan
  variables {
    backup_days = 0
  }
  expect_failures = [var.backup_days]
}

run "too_few_connections_are_refused" {
  command = plan
  variables {
    max_connections = 50
  }
  expect_failures = [var.max_connections]
}
