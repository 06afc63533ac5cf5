# What is known to be an attack is turned away before it reaches a machine. USSD and callbacks are left out of the
# general rules: a false alarm there costs a farmer's session or evidence about money. Nothing is sampled or logged
# here, because a sample shows the path, and callback paths hold tokens.

locals {
  seen = { SampledRequestsEnabled = false, CloudWatchMetricsEnabled = true }

  # paths that the general rules must not judge
  spared = ["/api/ussd", "/api/webhooks"]

  firewall = [
    {
      Name           = "known-bad-inputs"
      Priority       = 1
      OverrideAction = { None = {} }
      Statement = { ManagedRuleGroupStatement = {
        VendorName = "AWS", Name = "AWSManagedRulesKnownBadInputsRuleSet"
      } }
      VisibilityConfig = merge(local.seen, { MetricName = "known-bad-inputs" })
    },
    {
      Name           = "common"
      Priority       = 2
      OverrideAction = { None = {} }
      Statement = { ManagedRuleGroupStatement = {
        VendorName = "AWS"
        Name       = "AWSManagedRulesCommonRuleSet"
        # files of farmers are longer than 8 kB, and a partner's program may not say what it is
        RuleActionOverrides = [
          for rule in ["SizeRestrictions_BODY", "NoUserAgent_HEADER"] : { Name = rule, ActionToUse = { Count = {} } }
        ]
        ScopeDownStatement = { NotStatement = { Statement = { OrStatement = { Statements = [
          for path in local.spared : { ByteMatchStatement = {
            FieldToMatch         = { UriPath = {} }
            PositionalConstraint = "STARTS_WITH"
            SearchString         = base64encode(path)
            TextTransformations  = [{ Priority = 0, Type = "NONE" }]
          } }
        ] } } } }
      } }
      VisibilityConfig = merge(local.seen, { MetricName = "common" })
    },
  ]
}

resource "aws_wafv2_web_acl" "this" {
  #checkov:skip=CKV_AWS_175:its rules are in rule_json, which the scan does not read
  #checkov:skip=CKV_AWS_192:the rule set that knows Log4j is in rule_json, which the scan does not read
  #checkov:skip=CKV2_AWS_31:samples and logs show paths, and callback paths hold tokens
  name        = var.name
  description = "Load balancer of ${var.name}"
  scope       = "REGIONAL"
  rule_json   = jsonencode(local.firewall)

  default_action {
    allow {}
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    sampled_requests_enabled   = false
    metric_name                = var.name
  }
}

resource "aws_wafv2_web_acl_association" "this" {
  resource_arn = aws_lb.this.arn
  web_acl_arn  = aws_wafv2_web_acl.this.arn
}

output "firewall_rules" {
  description = "Rules in the order in which they are asked."
  value       = [for rule in local.firewall : rule.Name]
}
