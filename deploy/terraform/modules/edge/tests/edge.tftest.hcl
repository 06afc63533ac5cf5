mock_provider "aws" {
  source = "../../tests/mocks"
}

mock_provider "cloudflare" {
  source = "../../tests/mocks-cloudflare"
}

variables {
  name                      = "microcrop-test"
  host                      = "api.microcrop.io"
  vpc_id                    = "vpc-0a1b2c3d4e5f60718"
  subnet_ids                = ["subnet-0a", "subnet-0b", "subnet-0c"]
  cluster_security_group_id = "sg-0123456789abcdef0"
  autoscaling_groups        = { general = "eks-general", workers = "eks-workers" }
  cloudflare_zone_id        = "0123456789abcdef0123456789abcdef"
  origin_zone               = "origin.microcrop.io"
}

run "nobody_but_cloudflare_reaches_the_load_balancer" {
  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.edge : rule.prefix_list_id == aws_ec2_managed_prefix_list.cloudflare.id && rule.cidr_ipv4 == null])
    error_message = "the load balancer is open to others"
  }
  assert {
    condition     = toset([for entry in aws_ec2_managed_prefix_list.cloudflare.entry : entry.cidr]) == toset(["173.245.48.0/20", "103.21.244.0/22"])
    error_message = "the list is not Cloudflare's"
  }
}

run "callers_come_through_the_proxy_and_find_the_load_balancer" {
  assert {
    condition     = output.public_record.proxied == [true] && cloudflare_dns_record.public[0].content == "api.origin.microcrop.io" && cloudflare_dns_record.public[0].name == "api.microcrop.io"
    error_message = "the public name leads elsewhere, or past the proxy"
  }
  assert {
    condition     = aws_route53_record.origin.name == "api.origin.microcrop.io" && aws_route53_record.origin.alias[0].evaluate_target_health
    error_message = "the name behind the proxy does not follow the load balancer's health"
  }
  assert {
    condition     = aws_lb_listener.https.ssl_policy == "ELBSecurityPolicy-TLS13-1-2-2021-06" && aws_lb_listener.http.default_action[0].type == "redirect"
    error_message = "old TLS, or the clear"
  }
}

run "machines_are_asked_whether_they_are_well" {
  assert {
    condition     = length(aws_autoscaling_attachment.this) == 2 && aws_lb_target_group.this.health_check[0].path == "/healthz" && aws_lb_target_group.this.port == 30443
    error_message = "a machine is no target"
  }
}

run "gateways_and_callbacks_are_spared_by_the_general_rules" {
  assert {
    condition     = output.firewall_rules == ["known-bad-inputs", "common"]
    error_message = join(", ", output.firewall_rules)
  }
  assert {
    condition = toset([
      for statement in jsondecode(aws_wafv2_web_acl.this.rule_json)[1].Statement.ManagedRuleGroupStatement.ScopeDownStatement.NotStatement.Statement.OrStatement.Statements :
      base64decode(statement.ByteMatchStatement.SearchString)
    ]) == toset(["/api/ussd", "/api/webhooks"])
    error_message = "a false alarm could cost a session or evidence about money"
  }
  assert {
    condition     = !aws_wafv2_web_acl.this.visibility_config[0].sampled_requests_enabled
    error_message = "samples show paths with tokens"
  }
}

run "a_name_of_two_labels_has_a_certificate_of_its_own" {
  variables {
    host = "staging.api.microcrop.io"
  }
  assert {
    condition     = cloudflare_certificate_pack.host[0].hosts == tolist(["microcrop.io", "staging.api.microcrop.io"]) && output.origin == "staging-api.origin.microcrop.io"
    error_message = "Cloudflare would have no certificate to show"
  }
}

run "a_name_of_one_label_has_cloudflares" {
  assert {
    condition     = length(cloudflare_certificate_pack.host) == 0
    error_message = "a certificate is paid for that is not needed"
  }
}

run "the_second_region_is_answered_only_when_the_first_is_ill" {
  variables {
    failover = "SECONDARY"
  }
  assert {
    condition     = aws_route53_record.origin.failover_routing_policy[0].type == "SECONDARY" && length(cloudflare_dns_record.public) == 0
    error_message = "two regions answer for one name"
  }
}

run "a_third_kind_of_region_is_refused" {
  command = plan
  variables {
    failover = "TERTIARY"
  }
  expect_failures = [var.failover]
}
