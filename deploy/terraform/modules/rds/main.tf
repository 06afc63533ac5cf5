# PostgreSQL: the one server that may lose nothing. Encrypted, in two zones where it counts, with copies to
# read from, backups for point-in-time recovery, and a password that no state file holds.

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
  description = "Key of the storage, the insights and the copies in this region."
  type        = string
}

variable "engine_version" {
  description = "PostgreSQL, major and minor: the major of docker-compose.yml and of the backup image."
  type        = string
  default     = "15.10"
}

variable "instance_class" {
  description = "Machine of the primary; the replicas have the same, because a copy must allow as many connections."
  type        = string
}

variable "storage_gib" {
  description = "Storage to begin with and where it may grow to by itself."
  type        = object({ from = number, to = number })
  validation {
    condition     = var.storage_gib.to >= var.storage_gib.from && var.storage_gib.from >= 20
    error_message = "From 20 GiB, and not shrinking."
  }
}

variable "multi_az" {
  description = "Whether another machine in another zone stands by."
  type        = bool
}

variable "replicas" {
  description = "How many copies to read from there are in this region."
  type        = number
  default     = 0
}

variable "max_connections" {
  description = "Connections at once; deploy/kubernetes/README.md has the sum of what processes may open."
  type        = number
  validation {
    condition     = var.max_connections >= 100 && var.max_connections <= 5000
    error_message = "Between 100 and 5000 connections."
  }
}

variable "backup_days" {
  description = "Days that can be gone back to, to the second."
  type        = number
  default     = 30
  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "RDS keeps between 1 and 35 days; 0 would be none."
  }
}

variable "deletion_protection" {
  description = "Refuses to delete the database until somebody says otherwise on purpose."
  type        = bool
  default     = true
}

variable "password" {
  description = "The owner's password when it is made or changed: TF_VAR_database_password. Not kept anywhere."
  type        = string
  default     = null
  sensitive   = true
  ephemeral   = true
}

variable "password_version" {
  description = "Raise it to set a new password."
  type        = number
  default     = 1
}

variable "source_arn" {
  description = "The database in another region that this one is a copy of; null for one of its own."
  type        = string
  default     = null
}

locals {
  is_copy = var.source_arn != null
  major   = split(".", var.engine_version)[0]
}

resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_db_parameter_group" "this" {
  name_prefix = "${var.name}-postgres${local.major}-"
  family      = "postgres${local.major}"

  parameter {
    name         = "max_connections"
    value        = tostring(var.max_connections)
    apply_method = "pending-reboot"
  }
  # no connection without TLS
  parameter {
    name         = "rds.force_ssl"
    value        = "1"
    apply_method = "pending-reboot"
  }
  # a statement that took half a second is worth a line; parameters of statements are never logged
  parameter {
    name  = "log_min_duration_statement"
    value = "500"
  }
  parameter {
    name  = "log_parameter_max_length"
    value = "0"
  }
  parameter {
    name  = "log_connections"
    value = "1"
  }
  # a process that died in the middle of a transaction holds nothing for longer than a minute
  parameter {
    name  = "idle_in_transaction_session_timeout"
    value = "60000"
  }

  lifecycle {
    create_before_destroy = true
  }
}

data "aws_iam_policy_document" "monitoring_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["monitoring.rds.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "monitoring" {
  name               = "${var.name}-rds-monitoring"
  assume_role_policy = data.aws_iam_policy_document.monitoring_trust.json
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

resource "aws_db_instance" "primary" {
  #checkov:skip=CKV_AWS_293:production says true; what is only rehearsed in may be taken down
  #checkov:skip=CKV_AWS_157:production says true; a rehearsal may be away
  #checkov:skip=CKV_AWS_133:a variable that refuses 0
  identifier     = var.name
  engine         = local.is_copy ? null : "postgres"
  engine_version = local.is_copy ? null : var.engine_version
  instance_class = var.instance_class

  db_name             = local.is_copy ? null : "microcrop"
  username            = local.is_copy ? null : "microcrop_owner"
  password_wo         = local.is_copy ? null : var.password
  password_wo_version = local.is_copy ? null : var.password_version
  replicate_source_db = var.source_arn

  storage_type          = "gp3"
  allocated_storage     = local.is_copy ? null : var.storage_gib.from
  max_allocated_storage = var.storage_gib.to
  storage_encrypted     = true
  kms_key_id            = var.kms_key_arn

  multi_az               = var.multi_az
  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = var.security_group_ids
  publicly_accessible    = false
  parameter_group_name   = aws_db_parameter_group.this.name
  ca_cert_identifier     = "rds-ca-rsa2048-g1"

  # half an hour before the nightly backup of our own, so that the two do not meet
  backup_retention_period  = var.backup_days
  backup_window            = "00:30-01:30"
  maintenance_window       = "sun:02:30-sun:03:30"
  copy_tags_to_snapshot    = true
  delete_automated_backups = false

  auto_minor_version_upgrade = true
  deletion_protection        = var.deletion_protection
  skip_final_snapshot        = !var.deletion_protection
  final_snapshot_identifier  = var.deletion_protection ? "${var.name}-final" : null
  apply_immediately          = false

  iam_database_authentication_enabled   = true
  performance_insights_enabled          = true
  performance_insights_kms_key_id       = var.kms_key_arn
  performance_insights_retention_period = 7
  monitoring_interval                   = 60
  monitoring_role_arn                   = aws_iam_role.monitoring.arn
  enabled_cloudwatch_logs_exports       = ["postgresql", "upgrade"]

  lifecycle {
    # minor versions come by themselves in the maintenance window
    ignore_changes = [engine_version]
  }
}

resource "aws_db_instance" "replica" {
  #checkov:skip=CKV_AWS_293:production says true; what is only rehearsed in may be taken down
  #checkov:skip=CKV_AWS_157:a copy to read from; the primary stands in two zones
  count               = var.replicas
  identifier          = "${var.name}-replica-${count.index + 1}"
  replicate_source_db = aws_db_instance.primary.identifier
  instance_class      = var.instance_class

  storage_type          = "gp3"
  max_allocated_storage = var.storage_gib.to
  storage_encrypted     = true

  vpc_security_group_ids = var.security_group_ids
  publicly_accessible    = false
  parameter_group_name   = aws_db_parameter_group.this.name
  ca_cert_identifier     = "rds-ca-rsa2048-g1"

  auto_minor_version_upgrade = true
  deletion_protection        = var.deletion_protection
  skip_final_snapshot        = true
  copy_tags_to_snapshot      = true

  iam_database_authentication_enabled   = true
  performance_insights_enabled          = true
  performance_insights_kms_key_id       = var.kms_key_arn
  performance_insights_retention_period = 7
  monitoring_interval                   = 60
  monitoring_role_arn                   = aws_iam_role.monitoring.arn
  enabled_cloudwatch_logs_exports       = ["postgresql", "upgrade"]
}

output "address" {
  description = "Host that processes connect to."
  value       = aws_db_instance.primary.address
}

output "identifier" {
  description = "Name of the instance, as alarms and the console know it."
  value       = aws_db_instance.primary.identifier
}

output "arn" {
  description = "What a copy in another region names as its source."
  value       = aws_db_instance.primary.arn
}

output "replica_identifiers" {
  description = "Names of the copies."
  value       = aws_db_instance.replica[*].identifier
}
