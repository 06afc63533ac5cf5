# Staging: production's shape at its smallest, for rehearsals.

locals {
  overlay = "staging"

  size = {
    zones = 3
    nat   = "one"
    groups = {
      general = { types = ["t3.large"], spot = false, tainted = false, min = 2, max = 5 }
      workers = { types = ["t3.xlarge"], spot = false, tainted = true, min = 1, max = 5 }
      spot    = { types = ["t3.large", "t3a.large"], spot = true, tainted = true, min = 1, max = 4 }
    }
    # as many connections as production's: a rehearsal that runs out of them earlier proves nothing
    database = {
      instance_class  = "db.t4g.large"
      storage_gib     = { from = 30, to = 100 }
      multi_az        = false
      replicas        = 0
      max_connections = 850
      backup_days     = 7
    }
    cache      = { node_type = "cache.t4g.micro", nodes = 1 }
    budget_usd = 800
    keep       = false
  }
}
