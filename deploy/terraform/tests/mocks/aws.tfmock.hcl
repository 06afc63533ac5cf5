# What the cloud would answer, where a random text would not do. Tests name this folder as `source`.

mock_data "aws_iam_policy_document" {
  defaults = { json = "{}" }
}

mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_data "aws_route53_zone" {
  defaults = { zone_id = "Z0123456789ABCDEFGHIJ" }
}

mock_resource "aws_vpc" {
  defaults = { id = "vpc-0a1b2c3d4e5f60718" }
}

mock_resource "aws_security_group" {
  defaults = { id = "sg-0a1b2c3d4e5f60718" }
}

mock_resource "aws_subnet" {
  defaults = { id = "subnet-0a1b2c3d4e5f60718" }
}

mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:af-south-1:123456789012:key/00000000-0000-0000-0000-000000000000" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
}

mock_resource "aws_iam_openid_connect_provider" {
  defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/mock" }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:af-south-1:123456789012:log-group:mock" }
}

mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:af-south-1:123456789012:mock" }
}

mock_resource "aws_eks_cluster" {
  defaults = {
    identity   = [{ oidc = [{ issuer = "https://oidc.eks.af-south-1.amazonaws.com/id/0123456789ABCDEF" }] }]
    vpc_config = { cluster_security_group_id = "sg-0123456789abcdef0", vpc_id = "vpc-0a1b2c3d4e5f60718" }
  }
}

mock_resource "aws_eks_node_group" {
  defaults = {
    resources = [{ autoscaling_groups = [{ name = "eks-mock" }], remote_access_security_group_id = "" }]
  }
}

mock_resource "aws_launch_template" {
  defaults = { id = "lt-0a1b2c3d4e5f60718", latest_version = 1 }
}

mock_resource "aws_lb" {
  defaults = {
    arn        = "arn:aws:elasticloadbalancing:af-south-1:123456789012:loadbalancer/app/mock/0a1b2c3d4e5f6071"
    arn_suffix = "app/mock/0a1b2c3d4e5f6071"
    dns_name   = "mock.af-south-1.elb.amazonaws.com"
    zone_id    = "Z0123456789ABCDEFGHIJ"
  }
}

mock_resource "aws_lb_target_group" {
  defaults = {
    arn        = "arn:aws:elasticloadbalancing:af-south-1:123456789012:targetgroup/mock/0a1b2c3d4e5f6071"
    arn_suffix = "targetgroup/mock/0a1b2c3d4e5f6071"
  }
}

mock_resource "aws_lb_listener" {
  defaults = { arn = "arn:aws:elasticloadbalancing:af-south-1:123456789012:listener/app/mock/0a/0b" }
}

mock_resource "aws_acm_certificate" {
  defaults = {
    arn = "arn:aws:acm:af-south-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
    domain_validation_options = [{
      domain_name           = "api.microcrop.io"
      resource_record_name  = "_a.api.microcrop.io."
      resource_record_type  = "CNAME"
      resource_record_value = "_b.acm-validations.aws."
    }]
  }
}


mock_resource "aws_wafv2_web_acl" {
  defaults = { arn = "arn:aws:wafv2:af-south-1:123456789012:regional/webacl/mock/00000000-0000-0000-0000-000000000000" }
}

mock_resource "aws_ec2_managed_prefix_list" {
  defaults = { id = "pl-0a1b2c3d4e5f60718" }
}

mock_resource "aws_db_instance" {
  defaults = {
    arn     = "arn:aws:rds:af-south-1:123456789012:db:mock"
    address = "mock.af-south-1.rds.amazonaws.com"
  }
}

mock_resource "aws_mq_broker" {
  defaults = {
    instances = [{ console_url = "https://mock", endpoints = ["amqps://mock:5671"], ip_address = "10.30.112.10" }]
  }
}

mock_resource "aws_s3_bucket" {
  defaults = { arn = "arn:aws:s3:::mock" }
}

mock_resource "aws_route53_zone" {
  defaults = { zone_id = "Z0123456789ABCDEFGHIJ", name_servers = ["ns-1.example.", "ns-2.example.", "ns-3.example.", "ns-4.example."] }
}
