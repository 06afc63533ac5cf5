# What the cloud itself must tell: servers that Prometheus cannot look into, and money. Everything else is
# deploy/monitoring.

variable "name" {
  description = "Name of the environment's things."
  type        = string
}

variable "topic_name" {
  description = "Name of the topic, as the overlay's backup.env has it."
  type        = string
}

variable "account_id" {
  description = "The account."
  type        = string
}

variable "logs_key_arn" {
  description = "Key that encrypts notices at rest."
  type        = string
}

variable "emails" {
  description = "Who is written to; each confirms once."
  type        = set(string)
  default     = []
}

variable "budget_usd" {
  description = "What a month may cost, US dollars; somebody is told at 80 % and at what is foreseen above all of it."
  type        = number
}

variable "databases" {
  description = "PostgreSQL instances by what they are, with the connections they allow; copies also report their lag."
  type        = map(object({ identifier = string, connections = number, is_copy = bool }))
  default     = {}
}

variable "storage_gib_min" {
  description = "Free storage of PostgreSQL below which somebody is told, GiB."
  type        = number
  default     = 10
}

variable "caches" {
  description = "Redis nodes."
  type        = list(string)
  default     = []
}

variable "load_balancer" {
  description = "The load balancer and its targets; null for none."
  type        = object({ arn_suffix = string, target_arn_suffix = string })
  default     = null
}

variable "nat_gateways" {
  description = "Ways out by zone."
  type        = map(string)
  default     = {}
}

locals {
  gib = 1024 * 1024 * 1024

  of_databases = merge([
    for what, database in var.databases : merge(
      {
        "${what}-cpu"         = { metric = "CPUUtilization", above = 80, periods = 3, says = "PostgreSQL works above 80 % for a quarter of an hour" }
        "${what}-connections" = { metric = "DatabaseConnections", above = floor(database.connections * 0.85), periods = 1, says = "85 % of PostgreSQL's connections are taken" }
        "${what}-storage"     = { metric = "FreeStorageSpace", below = var.storage_gib_min * local.gib, periods = 1, says = "PostgreSQL's disk is nearly full" }
        "${what}-memory"      = { metric = "FreeableMemory", below = local.gib / 2, periods = 3, says = "PostgreSQL has less than half a GiB of memory left" }
      },
      database.is_copy ? { "${what}-lag" = { metric = "ReplicaLag", above = 300, periods = 1, says = "the copy of PostgreSQL is five minutes behind" } } : {},
    )
  ]...)

  alarms = merge(
    {
      for alarm, is in local.of_databases : alarm => merge(is, {
        namespace  = "AWS/RDS"
        statistic  = "Average"
        dimensions = { DBInstanceIdentifier = [for what, database in var.databases : database.identifier if startswith(alarm, "${what}-")][0] }
      })
    },
    {
      for node in var.caches : "${node}-memory" => {
        namespace  = "AWS/ElastiCache", metric = "DatabaseMemoryUsagePercentage", statistic = "Average", above = 80, periods = 3
        dimensions = { CacheClusterId = node }, says = "Redis is 80 % full: sessions will go before their time"
      }
    },
    merge([
      for balancer in var.load_balancer[*] : {
        edge-errors = {
          namespace  = "AWS/ApplicationELB", metric = "HTTPCode_ELB_5XX_Count", statistic = "Sum", above = 10, periods = 1
          dimensions = { LoadBalancer = balancer.arn_suffix }, says = "the load balancer answers for nobody behind it"
        }
        edge-targets = {
          namespace  = "AWS/ApplicationELB", metric = "HealthyHostCount", statistic = "Minimum", below = 2, periods = 1
          dimensions = { LoadBalancer = balancer.arn_suffix, TargetGroup = balancer.target_arn_suffix }
          says       = "fewer than two machines take calls"
        }
      }
    ]...),
    {
      for zone, gateway in var.nat_gateways : "way-out-${zone}" => {
        namespace  = "AWS/NATGateway", metric = "ErrorPortAllocation", statistic = "Sum", above = 0, periods = 1
        dimensions = { NatGatewayId = gateway }, says = "no port left on the way out: calls to providers fail"
      }
    },
  )
}

resource "aws_sns_topic" "alerts" {
  name              = var.topic_name
  kms_master_key_id = var.logs_key_arn
}

data "aws_iam_policy_document" "topic" {
  statement {
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alerts.arn]
    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com", "events.rds.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.account_id]
    }
  }
}

resource "aws_sns_topic_policy" "alerts" {
  arn    = aws_sns_topic.alerts.arn
  policy = data.aws_iam_policy_document.topic.json
}

resource "aws_sns_topic_subscription" "email" {
  for_each  = var.emails
  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.says
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = 300
  evaluation_periods  = each.value.periods
  comparison_operator = try(each.value.above, null) == null ? "LessThanThreshold" : "GreaterThanThreshold"
  threshold           = try(each.value.above, null) == null ? each.value.below : each.value.above
  # nobody dials at night: no data is no error
  treat_missing_data = "notBreaching"
  alarm_actions      = [aws_sns_topic.alerts.arn]
  ok_actions         = [aws_sns_topic.alerts.arn]
}

# what figures do not show: PostgreSQL went to the other zone, a backup failed, a copy stopped following
resource "aws_db_event_subscription" "this" {
  count            = length(var.databases) > 0 ? 1 : 0
  name             = var.name
  sns_topic        = aws_sns_topic.alerts.arn
  source_type      = "db-instance"
  source_ids       = [for database in var.databases : database.identifier]
  event_categories = ["availability", "failover", "failure", "low storage", "read replica", "recovery"]
}

resource "aws_budgets_budget" "month" {
  name         = var.name
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_unit   = "USD"
  limit_amount = tostring(var.budget_usd)

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }
    content {
      notification_type         = notification.key
      comparison_operator       = "GREATER_THAN"
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [aws_sns_topic.alerts.arn]
    }
  }
}

output "topic_arn" {
  description = "What tells people."
  value       = aws_sns_topic.alerts.arn
}

output "topic_name" {
  description = "Its name."
  value       = aws_sns_topic.alerts.name
}

output "alarms" {
  description = "Alarms by name, with their thresholds."
  value       = { for name, alarm in aws_cloudwatch_metric_alarm.this : name => alarm.threshold }
}
