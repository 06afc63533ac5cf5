-- What every load shares: each connection's requests spread over the pause between them, two counters
-- (`wrong`, and `busy` for "come back later"), and one line of results at the end. Never judges: load.sh
-- does. Read by the other scripts of this folder, whose `response` counts.
pause_ms = tonumber(os.getenv("PAUSE_MS") or "1000")
busy, wrong = 0, 0

local all = {}
function setup(thread)
    thread:set("number", #all)
    table.insert(all, thread)
end

-- the first request of each connection comes at any moment of the first pause, so that the rate holds
-- from the beginning; later pauses are 0.5 to 1.5 of it
local beginning = tonumber(os.getenv("CONNECTIONS_A_THREAD") or "0")
function delay()
    if beginning > 0 then
        beginning = beginning - 1
        return math.floor(pause_ms * math.random())
    end
    return math.floor(pause_ms * (0.5 + math.random()))
end

function done(summary, latency)
    local busy_all, wrong_all = 0, 0
    for _, thread in ipairs(all) do
        busy_all = busy_all + thread:get("busy")
        wrong_all = wrong_all + thread:get("wrong")
    end
    local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
    io.write(string.format("RESULT requests=%d seconds=%.3f p50_ms=%.3f p99_ms=%.3f errors=%d wrong=%d busy=%d\n",
        summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000,
        latency:percentile(99) / 1000, errors, wrong_all, busy_all))
end
