-- One connection is one farmer: her phone dials, and presses keys with a pause of PAUSE_MS between
-- hops (the middle of 0.5 to 1.5 of it), then dials again. Run by load.sh with wrk, which makes as
-- many connections as farmers. Phones are +2547 and eight digits of LOAD_FROM and up.
local pause_ms = tonumber(os.getenv("PAUSE_MS") or "1000")
local from = tonumber(os.getenv("LOAD_FROM") or "1")
-- dial, then what a registered farmer presses on the way to a quote
local keys = { "", "1", "1*1", "1*1*1" }
local all = {}
function setup(thread)
    thread:set("number", #all)
    table.insert(all, thread)
end

function init()
    math.randomseed(from * 1000 + number)
    farmer, session = 0, 0
end

-- wrk asks for the next request of any of its connections: each is the next hop of another farmer
local sessions = {}
local farmers = tonumber(os.getenv("FARMERS") or "500")

function request()
    farmer = farmer % farmers + 1
    local own = sessions[farmer]
    if own == nil or own.hop == #keys then
        session = session + 1
        own = { hop = 0, id = string.format("load-%d-%d-%d", from, number, session) }
        sessions[farmer] = own
    end
    own.hop = own.hop + 1
    local phone = string.format("%%2B2547%08d", from + number * farmers + farmer)
    local body = string.format("sessionId=%s&serviceCode=*384*57%%23&phoneNumber=%s&text=%s",
        own.id, phone, keys[own.hop])
    return wrk.format("POST", nil, { ["Content-Type"] = "application/x-www-form-urlencoded" }, body)
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
function response(status, headers, body)
    if status ~= 200 or (body:sub(1, 4) ~= "CON " and body:sub(1, 4) ~= "END ") then
        wrong = wrong + 1
    elseif headers["X-MicroCrop-Busy"] or body:find("Many people are dialling", 1, true)
        or body:find("Watu wengi", 1, true) then
        busy = busy + 1
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
