-- One connection is one farmer: her phone dials, and presses keys with a pause of PAUSE_MS between
-- hops (the middle of 0.5 to 1.5 of it), then dials again. Run by load.sh with wrk, which makes as
-- many connections as farmers. Phones are +2547 and eight digits of LOAD_FROM and up.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "steady.lua")
local from = tonumber(os.getenv("LOAD_FROM") or "1")
-- dial, then what a registered farmer presses on the way to a quote
local keys = { "", "1", "1*1", "1*1*1" }

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

function response(status, headers, body)
    if status ~= 200 or (body:sub(1, 4) ~= "CON " and body:sub(1, 4) ~= "END ") then
        wrong = wrong + 1
    elseif headers["X-MicroCrop-Busy"] or body:find("Many people are dialling", 1, true)
        or body:find("Watu wengi", 1, true) then
        busy = busy + 1
    end
end
