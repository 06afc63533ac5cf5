terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }

  # told to `init`, once the bucket is there (../README.md)
  backend "s3" {
    key          = "state/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
