# Cloudflare's part, for the whole zone: a phase has one set of rules, so they cannot belong to an environment.
# Nothing of ours is ever cached: a USSD screen and an answer of the API are one person's.

locals {
  hosts  = sort([for facts in module.facts : facts.host])
  quoted = join(" ", [for host in local.hosts : "\"${host}\""])
  ours   = "http.host in {${local.quoted}}"

  gateways = distinct(flatten([for facts in module.facts : facts.gateways]))
  # gateways speak for whole networks, and callers of USSD and callbacks are known by their token further in
  machines = "(starts_with(http.request.uri.path, \"/api/ussd\") or starts_with(http.request.uri.path, \"/api/webhooks\"))"

  # the ingress lets 100 a second of one address through (kubernetes/ingress); this is its burst, ten seconds long
  api_per_10_seconds = 2000
}

resource "cloudflare_zone_setting" "this" {
  for_each = {
    # the load balancer's certificate is checked
    ssl             = "strict"
    min_tls_version = "1.2"
    tls_1_3         = "on"
    # the load balancer redirects, and a question of Let's Encrypt must get to it
    always_use_https = "off"
    # would rewrite what an API says
    email_obfuscation = "off"
    rocket_loader     = "off"
  }
  zone_id    = var.cloudflare_zone_id
  setting_id = each.key
  value      = each.value
}

resource "cloudflare_ruleset" "cache" {
  zone_id     = var.cloudflare_zone_id
  name        = "microcrop: never cached"
  kind        = "zone"
  phase       = "http_request_cache_settings"
  description = "USSD, callbacks and the API answer each caller anew"

  rules = [{
    ref         = "never_cached"
    description = "nothing of ours is cached"
    expression  = "(${local.ours})"
    action      = "set_cache_settings"
    action_parameters = {
      cache = false
    }
  }]
}

resource "cloudflare_ruleset" "rate" {
  zone_id     = var.cloudflare_zone_id
  name        = "microcrop: rate of one address"
  kind        = "zone"
  phase       = "http_ratelimit"
  description = "A flood ends before it reaches us"

  rules = [{
    ref         = "api_rate"
    description = "people and partners; gateways, USSD and callbacks are limited by us"
    expression  = "(${local.ours} and starts_with(http.request.uri.path, \"/api\") and not ${local.machines} and not ip.src in {${join(" ", local.gateways)}})"
    action      = "block"
    ratelimit = {
      characteristics     = ["ip.src", "cf.colo.id"]
      period              = 10
      requests_per_period = local.api_per_10_seconds
      mitigation_timeout  = 10
    }
  }]
}

# a gateway cannot solve a puzzle
resource "cloudflare_ruleset" "no_puzzles" {
  zone_id     = var.cloudflare_zone_id
  name        = "microcrop: machines are not challenged"
  kind        = "zone"
  phase       = "http_request_firewall_custom"
  description = "USSD gateways and the rails' callbacks"

  rules = [{
    ref         = "machines"
    description = "no challenge on USSD and callbacks"
    expression  = "(${local.ours} and ${local.machines})"
    action      = "skip"
    action_parameters = {
      products = ["bic", "securityLevel", "uaBlock"]
    }
    logging = {
      enabled = false
    }
  }]
}

# names of load balancers are Route53's to answer
resource "cloudflare_dns_record" "origin" {
  count   = 4
  zone_id = var.cloudflare_zone_id
  name    = local.origin_zone
  type    = "NS"
  content = aws_route53_zone.origin.name_servers[count.index]
  ttl     = 3600
  proxied = false
}

output "never_cached" {
  description = "What Cloudflare passes through."
  value       = cloudflare_ruleset.cache.rules[0].expression
}

output "rate" {
  description = "What Cloudflare stops, and when."
  value       = cloudflare_ruleset.rate.rules[0]
}
