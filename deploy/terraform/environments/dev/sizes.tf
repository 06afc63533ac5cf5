# Development: small, may be away for a minute, PostgreSQL and Redis inside the cluster.

locals {
  overlay = "dev"

  size = {
    zones = 2
    nat   = "one"
    groups = {
      general = { types = ["t3.medium"], spot = false, tainted = false, min = 2, max = 4 }
      workers = { types = ["t3.medium"], spot = false, tainted = true, min = 1, max = 2 }
      spot    = { types = ["t3.medium"], spot = true, tainted = true, min = 1, max = 2 }
    }
    budget_usd = 400
    keep       = false
  }
}
