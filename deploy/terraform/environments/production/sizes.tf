# Production, and its second region (../../second-region has a link to this file). What a month costs is COSTS.md,
# made from these figures.

locals {
  overlay = "production"

  size = {
    zones = 3
    nat   = "each"
    groups = {
      general = { types = ["t3.large"], spot = false, tainted = false, min = 3, max = 10 }
      workers = { types = ["t3.xlarge"], spot = false, tainted = true, min = 2, max = 20 }
      spot    = { types = ["t3.large", "t3a.large"], spot = true, tainted = true, min = 2, max = 10 }
    }
    # deploy/kubernetes/README.md, "Connections": 820 with both slots at full size
    database = {
      instance_class  = "db.t4g.large"
      storage_gib     = { from = 100, to = 500 }
      multi_az        = true
      replicas        = 1
      max_connections = 850
    }
    cache         = { node_type = "cache.t4g.small", nodes = 2 }
    budget_usd    = 1200
    keep          = true
    second_region = true
  }
}
