terraform {
  # bucket and region are told to `init` (README.md); the lock is a file beside the state
  backend "s3" {
    key          = "staging/terraform.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
