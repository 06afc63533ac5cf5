# What Cloudflare would answer.

mock_data "cloudflare_ip_ranges" {
  defaults = { ipv4_cidrs = ["173.245.48.0/20", "103.21.244.0/22"], ipv6_cidrs = [] }
}
