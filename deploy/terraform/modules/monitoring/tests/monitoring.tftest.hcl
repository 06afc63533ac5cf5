mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name         = "microcrop-test"
  topic_name   = "microcrop-test-alerts"
  account_id   = "123456789012"
  logs_key_arn = "arn:aws:kms:af-south-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  emails       = ["people@example.org"]
  budget_usd   = 1200
  databases = {
    primary   = { identifier = "microcrop-test", connections = 850, is_copy = false }
    replica-1 = { identifier = "microcrop-test-replica-1", connections = 850, is_copy = true }
  }
  caches        = ["microcrop-test-001"]
  load_balancer = { arn_suffix = "app/test/1", target_arn_suffix = "targetgroup/test/1" }
  nat_gateways  = { "af-south-1a" = "nat-0a" }
}

run "people_are_told_before_connections_run_out" {
  assert {
    condition     = output.alarms["primary-connections"] == 722 && aws_cloudwatch_metric_alarm.this["primary-connections"].comparison_operator == "GreaterThanThreshold"
    error_message = "at ${output.alarms["primary-connections"]}"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["primary-storage"].comparison_operator == "LessThanThreshold" && output.alarms["primary-storage"] == 10737418240
    error_message = "a full disk would be told when it is empty"
  }
}

run "a_copy_says_how_far_it_is_behind" {
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["replica-1-lag"].dimensions["DBInstanceIdentifier"] == "microcrop-test-replica-1" && !contains(keys(output.alarms), "primary-lag")
    error_message = "the wrong one is asked"
  }
}

run "a_database_that_changes_its_zone_says_so" {
  assert {
    condition     = aws_db_event_subscription.this[0].sns_topic == output.topic_arn && length(aws_db_event_subscription.this[0].source_ids) == 2 && contains(aws_db_event_subscription.this[0].event_categories, "failover")
    error_message = "nobody hears of it"
  }
}

run "every_alarm_tells_the_topic" {
  assert {
    condition     = length(output.alarms) == 13 && alltrue([for alarm in aws_cloudwatch_metric_alarm.this : contains(alarm.alarm_actions, output.topic_arn)])
    error_message = "there are ${length(output.alarms)} alarms, or one tells nobody"
  }
  assert {
    condition     = aws_sns_topic.alerts.kms_master_key_id == var.logs_key_arn && length(aws_sns_topic_subscription.email) == 1
    error_message = "notices are in the clear, or nobody hears them"
  }
}

run "a_dear_month_is_foreseen" {
  assert {
    condition     = aws_budgets_budget.month.limit_amount == "1200" && length(aws_budgets_budget.month.notification) == 2
    error_message = "nobody is told of the bill"
  }
}

run "where_nothing_is_managed_only_the_budget_is_watched" {
  variables {
    databases     = {}
    caches        = []
    load_balancer = null
    nat_gateways  = {}
  }
  assert {
    condition     = length(output.alarms) == 0 && length(aws_db_event_subscription.this) == 0
    error_message = "an alarm watches nothing"
  }
}
