# The public door: Cloudflare -> load balancer -> ingress-nginx on the machines. Nobody but Cloudflare reaches the
# load balancer, so what Cloudflare says of a caller's address is true (kubernetes/cluster/ingress-controller.yaml).

variable "name" {
  description = "Name of the environment's things."
  type        = string
}

variable "host" {
  description = "The public name, PUBLIC_BASE_URL of the overlay."
  type        = string
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "subnet_ids" {
  description = "Public subnets."
  type        = list(string)
}

variable "cluster_security_group_id" {
  description = "The machines' group, which is opened to the load balancer."
  type        = string
}

variable "autoscaling_groups" {
  description = "Machines by group, as targets."
  type        = map(string)
}

variable "cloudflare_zone_id" {
  description = "The zone at Cloudflare."
  type        = string
}

variable "origin_zone" {
  description = "The zone at Route53 in which load balancers have their names; Cloudflare asks it where to go."
  type        = string
}

variable "failover" {
  description = "PRIMARY or SECONDARY where two regions serve one name; null for one region alone."
  type        = string
  default     = null
  validation {
    condition     = var.failover == null ? true : contains(["PRIMARY", "SECONDARY"], var.failover)
    error_message = "PRIMARY, SECONDARY or null."
  }
}

variable "deletion_protection" {
  description = "Refuses to delete the load balancer until somebody says otherwise on purpose."
  type        = bool
  default     = true
}

locals {
  labels = split(".", var.host)
  domain = join(".", slice(local.labels, length(local.labels) - 2, length(local.labels)))
  # staging.api.microcrop.io -> staging-api.origin.microcrop.io
  origin = "${join("-", slice(local.labels, 0, length(local.labels) - 2))}.${var.origin_zone}"

  # where ingress-nginx listens on every machine: values of its chart (../../README.md)
  ports = { http = 30080, https = 30443 }
}

data "cloudflare_ip_ranges" "this" {}

resource "aws_ec2_managed_prefix_list" "cloudflare" {
  name           = "${var.name}-cloudflare"
  address_family = "IPv4"
  max_entries    = 30

  dynamic "entry" {
    for_each = toset(data.cloudflare_ip_ranges.this.ipv4_cidrs)
    content {
      cidr = entry.value
    }
  }
}

resource "aws_security_group" "edge" {
  name        = "${var.name}-edge"
  description = "Load balancer of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-edge" }
}

resource "aws_vpc_security_group_ingress_rule" "edge" {
  #checkov:skip=CKV_AWS_260:from Cloudflare's list of addresses alone
  for_each          = { http = 80, https = 443 }
  security_group_id = aws_security_group.edge.id
  description       = "${each.key} from Cloudflare"
  prefix_list_id    = aws_ec2_managed_prefix_list.cloudflare.id
  ip_protocol       = "tcp"
  from_port         = each.value
  to_port           = each.value
}

resource "aws_vpc_security_group_egress_rule" "edge" {
  for_each                     = local.ports
  security_group_id            = aws_security_group.edge.id
  description                  = "${each.key} of ingress-nginx"
  referenced_security_group_id = var.cluster_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_vpc_security_group_ingress_rule" "nodes" {
  for_each                     = local.ports
  security_group_id            = var.cluster_security_group_id
  description                  = "${each.key} of ingress-nginx from the load balancer"
  referenced_security_group_id = aws_security_group.edge.id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

# Its own log is off: callback paths hold tokens, and a path that is nowhere written cannot leak. The controller
# logs method, status and time, the backend its routes.
resource "aws_lb" "this" {
  #checkov:skip=CKV2_AWS_76:the rule set that knows Log4j is in rule_json, which the scan does not read
  #checkov:skip=CKV_AWS_91:callback paths hold tokens; the controller and the backend log what is needed
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = false
  subnets                    = var.subnet_ids
  security_groups            = [aws_security_group.edge.id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
  # the longest answer of ours takes 65 s (kubernetes/ingress)
  idle_timeout = 75
}

resource "aws_lb_target_group" "this" {
  name        = var.name
  vpc_id      = var.vpc_id
  target_type = "instance"
  protocol    = "HTTPS"
  port        = local.ports.https
  # the controller drains for 30 s at most
  deregistration_delay = 35

  health_check {
    protocol            = "HTTP"
    port                = tostring(local.ports.http)
    path                = "/healthz"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_autoscaling_attachment" "this" {
  #checkov:skip=CKV2_AWS_15:the cluster replaces machines; an ill ingress pod is no reason to
  for_each               = var.autoscaling_groups
  autoscaling_group_name = each.value
  lb_target_group_arn    = aws_lb_target_group.this.arn
}

resource "aws_acm_certificate" "this" {
  domain_name       = var.host
  validation_method = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

resource "cloudflare_dns_record" "validation" {
  zone_id = var.cloudflare_zone_id
  name    = trimsuffix(tolist(aws_acm_certificate.this.domain_validation_options)[0].resource_record_name, ".")
  type    = tolist(aws_acm_certificate.this.domain_validation_options)[0].resource_record_type
  content = trimsuffix(tolist(aws_acm_certificate.this.domain_validation_options)[0].resource_record_value, ".")
  ttl     = 300
  proxied = false
}

resource "aws_acm_certificate_validation" "this" {
  certificate_arn         = aws_acm_certificate.this.arn
  validation_record_fqdns = [cloudflare_dns_record.validation.name]
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.this.arn
  protocol          = "HTTPS"
  port              = 443
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = aws_acm_certificate_validation.this.certificate_arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this.arn
  }
}

# Let's Encrypt begins its question here and follows to the other door
resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.this.arn
  protocol          = "HTTP"
  port              = 80

  default_action {
    type = "redirect"
    redirect {
      protocol    = "HTTPS"
      port        = "443"
      status_code = "HTTP_301"
    }
  }
}

data "aws_route53_zone" "origin" {
  name = var.origin_zone
}

# Where the name leads behind Cloudflare. With two regions the first one's record is answered as long as it has a
# healthy machine; the load balancers let only Cloudflare in, so no checker from outside could ask them.
resource "aws_route53_record" "origin" {
  zone_id        = data.aws_route53_zone.origin.zone_id
  name           = local.origin
  type           = "A"
  set_identifier = var.failover == null ? null : lower(var.failover)

  alias {
    name                   = aws_lb.this.dns_name
    zone_id                = aws_lb.this.zone_id
    evaluate_target_health = true
  }

  dynamic "failover_routing_policy" {
    for_each = var.failover == null ? [] : [var.failover]
    content {
      type = failover_routing_policy.value
    }
  }
}

# the second region takes the name that is there
resource "cloudflare_dns_record" "public" {
  count   = var.failover == "SECONDARY" ? 0 : 1
  zone_id = var.cloudflare_zone_id
  name    = var.host
  type    = "CNAME"
  content = local.origin
  # decided by the proxy
  ttl     = 1
  proxied = true
  comment = "MicroCrop, ${var.name}"
}

# Cloudflare's free certificate covers one label below the domain; a name with two needs one of its own
resource "cloudflare_certificate_pack" "host" {
  count                 = length(local.labels) > 3 && var.failover != "SECONDARY" ? 1 : 0
  zone_id               = var.cloudflare_zone_id
  type                  = "advanced"
  hosts                 = [local.domain, var.host]
  certificate_authority = "lets_encrypt"
  validation_method     = "txt"
  validity_days         = 90
}

output "load_balancer_arn_suffix" {
  description = "The load balancer, as alarms know it."
  value       = aws_lb.this.arn_suffix
}

output "target_group_arn_suffix" {
  description = "Its targets, as alarms know them."
  value       = aws_lb_target_group.this.arn_suffix
}

output "origin" {
  description = "The name behind Cloudflare."
  value       = local.origin
}

output "public_record" {
  description = "Whether callers come through Cloudflare's proxy."
  value       = { host = var.host, proxied = [for record in cloudflare_dns_record.public : record.proxied] }
}
