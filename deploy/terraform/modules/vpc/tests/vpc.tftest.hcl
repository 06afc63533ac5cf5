mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name         = "microcrop-test"
  region       = "af-south-1"
  cidr         = "10.30.0.0/16"
  zones        = ["af-south-1a", "af-south-1b", "af-south-1c"]
  nat          = "each"
  logs_key_arn = "arn:aws:kms:af-south-1:123456789012:key/00000000-0000-0000-0000-000000000000"
}

run "every_zone_has_three_subnets_that_do_not_overlap" {
  assert {
    condition     = length(aws_subnet.private) == 3 && length(aws_subnet.public) == 3 && length(aws_subnet.data) == 3
    error_message = "a zone lacks a subnet"
  }
  assert {
    condition     = [for zone in var.zones : aws_subnet.private[zone].cidr_block] == ["10.30.0.0/19", "10.30.32.0/19", "10.30.64.0/19"]
    error_message = "private subnets moved: machines would have to"
  }
  assert {
    condition     = aws_subnet.public["af-south-1c"].cidr_block == "10.30.98.0/24" && aws_subnet.data["af-south-1a"].cidr_block == "10.30.112.0/24"
    error_message = "edge or data subnets moved"
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.public : subnet.map_public_ip_on_launch != true])
    error_message = "a machine in a public subnet would have a public address"
  }
}

run "databases_have_no_way_out" {
  assert {
    condition     = alltrue([for route in aws_route.private : route.destination_cidr_block == "0.0.0.0/0"]) && length(aws_route.private) == 3
    error_message = "a private subnet has no way out"
  }
  assert {
    condition     = length([for association in aws_route_table_association.data : association]) == 3 && output.nat_gateways == 3
    error_message = "data subnets have their own table, and each zone its way out"
  }
}

run "one_way_out_serves_all_zones" {
  variables {
    nat = "one"
  }
  assert {
    condition     = output.nat_gateways == 1 && length(aws_route.private) == 3
    error_message = "there are ${output.nat_gateways} ways out"
  }
}

run "no_way_out_means_no_route" {
  variables {
    nat = "none"
  }
  assert {
    condition     = output.nat_gateways == 0 && length(aws_route.private) == 0
    error_message = "there is a way out"
  }
}

run "a_network_of_another_size_is_refused" {
  command = plan
  variables {
    cidr = "10.30.0.0/20"
  }
  expect_failures = [var.cidr]
}

run "one_zone_is_refused" {
  command = plan
  variables {
    zones = ["af-south-1a"]
  }
  expect_failures = [var.zones]
}
