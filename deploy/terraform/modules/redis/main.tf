# Redis: sessions of phones and counters of limits. It may be lost (docs/runbook.md), but not read along:
# TLS, a token, storage encrypted; another node in another zone takes over where people dial in earnest.

variable "name" {
  description = "Name of the environment's things."
  type        = string
}

variable "subnet_ids" {
  description = "Data subnets."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Groups that say who may connect."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "Key of what is written to disk."
  type        = string
}

variable "logs_key_arn" {
  description = "Key of the slow log."
  type        = string
}

variable "node_type" {
  description = "Machine of each node."
  type        = string
}

variable "nodes" {
  description = "One, or the first and those that take over from it."
  type        = number
  validation {
    condition     = var.nodes >= 1 && var.nodes <= 3
    error_message = "Between one and three nodes."
  }
}

variable "token" {
  description = "What clients show at first; rotate-secrets.sh changes it at once, so that what the state remembers opens nothing."
  type        = string
  sensitive   = true
  default     = null
}

variable "snapshot_days" {
  description = "Days of snapshots: for convenience, nothing depends on them."
  type        = number
  default     = 1
}

resource "aws_elasticache_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_elasticache_parameter_group" "this" {
  name   = "${var.name}-redis7"
  family = "redis7"

  # sessions and counters all end by themselves, so the ones that end first go first
  parameter {
    name  = "maxmemory-policy"
    value = "volatile-ttl"
  }
}

resource "aws_cloudwatch_log_group" "slow" {
  name              = "/microcrop/${var.name}/redis-slow"
  retention_in_days = 30
  kms_key_id        = var.logs_key_arn
}

resource "aws_elasticache_replication_group" "this" {
  #checkov:skip=CKV2_AWS_50:wherever there is more than one node
  replication_group_id = var.name
  description          = "Sessions and limits of ${var.name}"
  engine               = "redis"
  engine_version       = "7.1"
  node_type            = var.node_type
  num_cache_clusters   = var.nodes
  port                 = 6379

  automatic_failover_enabled = var.nodes > 1
  multi_az_enabled           = var.nodes > 1

  subnet_group_name    = aws_elasticache_subnet_group.this.name
  security_group_ids   = var.security_group_ids
  parameter_group_name = aws_elasticache_parameter_group.this.name

  at_rest_encryption_enabled = true
  kms_key_id                 = var.kms_key_arn
  transit_encryption_enabled = true
  auth_token                 = var.token
  auth_token_update_strategy = "ROTATE"

  auto_minor_version_upgrade = true
  maintenance_window         = "sun:02:30-sun:03:30"
  snapshot_window            = "00:30-01:30"
  snapshot_retention_limit   = var.snapshot_days
  apply_immediately          = true

  log_delivery_configuration {
    destination      = aws_cloudwatch_log_group.slow.name
    destination_type = "cloudwatch-logs"
    log_format       = "json"
    log_type         = "slow-log"
  }

  lifecycle {
    # deploy/security/rotate-secrets.sh is who changes it
    ignore_changes = [auth_token, auth_token_update_strategy]
  }
}

output "address" {
  description = "Host that the backend connects to; follows whoever leads."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "replication_group" {
  description = "What rotate-secrets.sh is told as REPLICATION_GROUP."
  value       = aws_elasticache_replication_group.this.replication_group_id
}

output "member_ids" {
  description = "Nodes by name, for alarms."
  value       = [for index in range(var.nodes) : format("%s-%03d", var.name, index + 1)]
}
