# What the Kubernetes overlay of an environment says, read from its own files: regions, network, names of
# buckets, topic and secrets are written once, there, and never again here.

variable "overlay" {
  description = "Folder of deploy/kubernetes/overlays: dev, staging or production."
  type        = string
  validation {
    condition     = contains(["dev", "staging", "production"], var.overlay)
    error_message = "There is no such overlay."
  }
}

locals {
  kubernetes = "${path.module}/../../../kubernetes"
  folder     = "${local.kubernetes}/overlays/${var.overlay}/config"

  # NAME=value, one a line; the rest are comments
  read = {
    for name, file in { facts = "facts/facts.env", config = "config.env", backup = "backup.env" } : name => {
      for line in split("\n", file("${local.folder}/${file}")) :
      split("=", line)[0] => join("=", slice(split("=", line), 1, length(split("=", line))))
      if can(regex("^[A-Z][A-Z0-9_]*=", line))
    }
  }

  # what External Secrets asks of Secrets Manager, one entry a Secret
  external = [
    for text in split("\n---\n", file("${local.kubernetes}/options/secrets-aws/secrets.yaml")) :
    yamldecode(text) if can(regex("kind: ExternalSecret", text))
  ]

  host   = split("/", local.read.config.PUBLIC_BASE_URL)[2]
  labels = split(".", local.host)

  unknown_account = "000000000000"
}

output "overlay" {
  description = "The overlay itself, which the pipeline calls its environments by."
  value       = var.overlay
}

output "environment" {
  description = "development, staging or production: what every process is told."
  value       = local.read.facts.ENVIRONMENT
}

output "account" {
  description = "The account that the overlay belongs to; null until somebody has written it down."
  value       = local.read.facts.ACCOUNT == local.unknown_account ? null : local.read.facts.ACCOUNT
}

output "region" {
  description = "The region of the environment."
  value       = local.read.facts.REGION
}

output "dr_region" {
  description = "The second region."
  value       = local.read.backup.S3_DR_REGION
}

output "namespace" {
  description = "The namespace of the application in the cluster."
  value       = local.read.facts.NAMESPACE
}

output "vpc_cidr" {
  description = "The cluster's network."
  value       = local.read.facts.VPC_CIDR
}

output "host" {
  description = "The public name that farmers' gateways and partners call."
  value       = local.host
}

output "origin_zone" {
  description = "The zone at Route53 in which load balancers have their names: origin. and the domain."
  value       = "origin.${join(".", slice(local.labels, length(local.labels) - 2, length(local.labels)))}"
}

output "gateways" {
  description = "Addresses of gateways, which no limit counts."
  value       = split(",", local.read.facts.GATEWAYS)
}

output "backup_bucket" {
  description = "Where backups go."
  value       = local.read.backup.S3_BUCKET
}

output "backup_dr_bucket" {
  description = "Where they go in the second region."
  value       = local.read.backup.S3_DR_BUCKET
}

output "alerts_topic" {
  description = "Name of the topic that backups and alarms tell."
  value       = element(split(":", local.read.backup.SNS_TOPIC_ARN), 5)
}

output "secrets" {
  description = "Names of the Secrets that the cluster asks Secrets Manager for, with their keys."
  value       = { for object in local.external : object.metadata.name => [for entry in object.spec.data : entry.secretKey] }
}
