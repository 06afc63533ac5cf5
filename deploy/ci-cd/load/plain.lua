-- A steady stream of one kind of request with a pause of PAUSE_MS on each connection: METHOD, BODY and
-- AUTHORIZATION from the environment; anything but STATUS is wrong. Run by load.sh with wrk.
local pause_ms = tonumber(os.getenv("PAUSE_MS") or "1000")
local wanted = tonumber(os.getenv("STATUS") or "200")
local headers = {}
if os.getenv("AUTHORIZATION") then headers["Authorization"] = os.getenv("AUTHORIZATION") end
if os.getenv("BODY") then headers["Content-Type"] = os.getenv("CONTENT_TYPE") or "application/x-www-form-urlencoded" end

local all = {}
function setup(thread)
    thread:set("number", #all)
    table.insert(all, thread)
end

function init()
    math.randomseed(number + 1)
    wrk.method = os.getenv("METHOD") or "GET"
    wrk.body = os.getenv("BODY")
    for name, value in pairs(headers) do wrk.headers[name] = value end
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

busy = 0
wrong = 0
function response(status)
    if status == 429 then
        busy = busy + 1
    elseif status ~= wanted then
        wrong = wrong + 1
    end
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
