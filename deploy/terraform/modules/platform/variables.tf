# What is said of an environment: its facts by its overlay, its size by environments/*/sizes.tf, the rest by people.

variable "facts" {
  description = "What the overlay says (modules/facts)."
  type = object({
    overlay          = string
    environment      = string
    region           = string
    dr_region        = string
    namespace        = string
    vpc_cidr         = string
    host             = string
    origin_zone      = string
    backup_bucket    = string
    backup_dr_bucket = string
    alerts_topic     = string
    secrets          = map(list(string))
  })
}

variable "size" {
  description = "How large and how safe the environment is, and what it may cost."
  type = object({
    # zones of the region, and ways out: none, one, each (modules/vpc)
    zones = number
    nat   = string
    # machines by group (modules/eks)
    groups = map(object({
      types    = list(string)
      spot     = bool
      tainted  = bool
      min      = number
      max      = number
      disk_gib = optional(number, 50)
    }))
    # PostgreSQL of the cloud (modules/rds); null where the cluster runs one
    database = optional(object({
      instance_class   = string
      storage_gib      = object({ from = number, to = number })
      multi_az         = bool
      replicas         = number
      max_connections  = number
      backup_days      = optional(number, 30)
      password_version = optional(number, 1)
    }))
    # Redis of the cloud (modules/redis); null where the cluster runs one
    cache = optional(object({ node_type = string, nodes = number }))
    # US dollars a month
    budget_usd = number
    # databases and the load balancer refuse to be deleted, and deleted secrets can be had back for a month
    keep = bool
    # another region can take over: it holds a copy of each secret, and answers when this one is ill
    second_region = optional(bool, false)
  })
}

variable "is_second" {
  description = "Whether this is that other region: names end in -dr, secrets are the first one's copies."
  type        = bool
  default     = false
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

variable "source_arn" {
  description = "The database in another region that this one is a copy of; null for one of its own."
  type        = string
  default     = null
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes."
  type        = string
  default     = "1.33"
}

variable "api_cidrs" {
  description = "Who may reach the API server from outside the network."
  type        = list(string)
}

variable "administrators" {
  description = "Roles of people who may do anything in the cluster, by ARN."
  type        = set(string)
}

variable "database_password" {
  description = "The owner's password when the database is made or `password_version` raised."
  type        = string
  default     = null
  sensitive   = true
  ephemeral   = true
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

variable "repository" {
  description = "The repository whose pipeline may act here, OWNER/NAME."
  type        = string
}

variable "cloudflare_zone_id" {
  description = "The zone at Cloudflare."
  type        = string
}
