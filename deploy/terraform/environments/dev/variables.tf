variable "repository" {
  description = "The repository whose pipeline may act here, OWNER/NAME."
  type        = string
}

variable "cloudflare_zone_id" {
  description = "The zone at Cloudflare."
  type        = string
}

variable "administrators" {
  description = "Roles of people who may do anything in the cluster, by ARN."
  type        = set(string)
}

variable "alert_emails" {
  description = "Who is written to by alarms, backups and the budget."
  type        = set(string)
}

variable "api_cidrs" {
  description = "Who may reach the API server. Everybody may knock, because the pipeline's machines have no addresses of their own; whoever has no identity gets no further. Close it once the pipeline runs in the network."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}
