# What differs between environments. Names, regions and networks are not here: they are facts of the overlay.

variable "facts" {
  description = "What the overlay says (modules/facts)."
  type = object({
    environment      = string
    region           = string
    dr_region        = string
    namespace        = string
    vpc_cidr         = string
    host             = string
    backup_bucket    = string
    backup_dr_bucket = string
    alerts_topic     = string
    secrets          = map(list(string))
  })
}

variable "overlay" {
  description = "dev, staging or production: folder of the overlay and the pipeline's name of the environment."
  type        = string
}

variable "suffix" {
  description = "Added to names, for a second region of the same environment."
  type        = string
  default     = ""
}

variable "parts" {
  description = "all, or data: network, keys and PostgreSQL alone, for a second region that only follows."
  type        = string
  default     = "all"
  validation {
    condition     = contains(["all", "data"], var.parts)
    error_message = "One of all, data."
  }
}

variable "account_id" {
  description = "The account."
  type        = string
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes."
  type        = string
  default     = "1.33"
}

variable "zones" {
  description = "How many zones of the region are used."
  type        = number
}

variable "nat" {
  description = "Ways out: none, one, each (modules/vpc)."
  type        = string
}

variable "groups" {
  description = "Machines by group (modules/eks)."
  type = map(object({
    types    = list(string)
    spot     = bool
    tainted  = bool
    min      = number
    max      = number
    disk_gib = optional(number, 50)
  }))
}

variable "spot_share" {
  description = "Least and most of the machines that may be spot, per cent; null for any."
  type        = object({ min = number, max = number })
  default     = null
}

variable "api_cidrs" {
  description = "Who may reach the API server from outside the network."
  type        = list(string)
}

variable "administrators" {
  description = "Roles of people who may do anything in the cluster, by ARN."
  type        = set(string)
}

variable "database" {
  description = "PostgreSQL of the cloud; null where the cluster runs one."
  type = object({
    instance_class  = string
    storage_gib     = object({ from = number, to = number })
    multi_az        = bool
    replicas        = number
    max_connections = number
    backup_days     = optional(number, 30)
    source_arn      = optional(string)
  })
}

variable "database_password" {
  description = "The owner's password when the database is made or the password changed."
  type        = string
  default     = null
  sensitive   = true
  ephemeral   = true
}

variable "database_password_version" {
  description = "Raise it to set a new password."
  type        = number
  default     = 1
}

variable "cache" {
  description = "Redis of the cloud; null where the cluster runs one."
  type        = object({ node_type = string, nodes = number })
}

variable "cache_token" {
  description = "What clients of Redis show at first."
  type        = string
  default     = null
  sensitive   = true
}

variable "alert_emails" {
  description = "Who is written to."
  type        = set(string)
}

variable "budget_usd" {
  description = "What a month may cost, US dollars."
  type        = number
}

variable "repository" {
  description = "The repository whose pipeline may act here, OWNER/NAME."
  type        = string
}

variable "state_bucket" {
  description = "The bucket of Terraform's state."
  type        = string
}

variable "cloudflare_zone_id" {
  description = "The zone at Cloudflare."
  type        = string
}

variable "origin_zone" {
  description = "The zone at Route53 in which load balancers have their names."
  type        = string
  default     = "origin.microcrop.io"
}

variable "failover" {
  description = "PRIMARY or SECONDARY where two regions serve one name."
  type        = string
  default     = null
}

variable "replicate_secrets" {
  description = "Whether the second region holds a copy of each secret."
  type        = bool
  default     = false
}

variable "make_secrets" {
  description = "Whether secrets are made here; the second region has copies of the first one's."
  type        = bool
  default     = true
}

variable "keep" {
  description = "Whether databases and the load balancer refuse to be deleted, and deleted secrets can be had back."
  type        = bool
}
