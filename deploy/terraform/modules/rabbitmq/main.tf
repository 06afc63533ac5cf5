# RabbitMQ run by the cloud, for whoever would rather pay than run it. No environment uses it: three nodes in
# the cluster cost their share of machines that are there anyway, three of Amazon MQ's smallest that may form
# a cluster cost about as much as everything else together (../../COSTS.md), and a lost broker costs time only.

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

variable "clustered" {
  description = "Three nodes in three zones, which quorum queues want, or one."
  type        = bool
  default     = true
}

variable "instance_type" {
  description = "Machine of each node; a cluster begins at mq.m5.large."
  type        = string
  default     = "mq.m5.large"
}

variable "user" {
  description = "The first user of the broker."
  type        = string
}

variable "password" {
  description = "Their password, at least twelve characters."
  type        = string
  sensitive   = true
  validation {
    condition     = length(var.password) >= 12 && !can(regex("[,:=]", var.password))
    error_message = "At least twelve characters, without comma, colon or equals sign."
  }
}

resource "aws_mq_broker" "this" {
  broker_name                = var.name
  engine_type                = "RabbitMQ"
  engine_version             = "3.13"
  auto_minor_version_upgrade = true
  host_instance_type         = var.instance_type
  deployment_mode            = var.clustered ? "CLUSTER_MULTI_AZ" : "SINGLE_INSTANCE"
  publicly_accessible        = false
  security_groups            = var.security_group_ids
  subnet_ids                 = var.clustered ? var.subnet_ids : slice(var.subnet_ids, 0, 1)

  encryption_options {
    use_aws_owned_key = false
    kms_key_id        = var.kms_key_arn
  }

  logs {
    general = true
  }

  maintenance_window_start_time {
    day_of_week = "SUNDAY"
    time_of_day = "02:30"
    time_zone   = "UTC"
  }

  user {
    username = var.user
    password = var.password
  }

  lifecycle {
    # a new user beside the old one, then the old one goes: deploy/security/rotate-secrets.sh
    ignore_changes = [user]
  }
}

output "endpoint" {
  description = "amqps address, for RABBITMQ_URL."
  value       = aws_mq_broker.this.instances[0].endpoints[0]
}
