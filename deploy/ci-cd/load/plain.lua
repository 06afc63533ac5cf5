-- A steady stream of one kind of request with a pause of PAUSE_MS on each connection: METHOD, BODY and
-- AUTHORIZATION from the environment; anything but STATUS is wrong. Run by load.sh with wrk.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "steady.lua")
local wanted = tonumber(os.getenv("STATUS") or "200")
local headers = {}
if os.getenv("AUTHORIZATION") then headers["Authorization"] = os.getenv("AUTHORIZATION") end
if os.getenv("BODY") then headers["Content-Type"] = os.getenv("CONTENT_TYPE") or "application/x-www-form-urlencoded" end

function init()
    math.randomseed(number + 1)
    wrk.method = os.getenv("METHOD") or "GET"
    wrk.body = os.getenv("BODY")
    for name, value in pairs(headers) do wrk.headers[name] = value end
end

function response(status)
    if status == 429 then
        busy = busy + 1
    elseif status ~= wanted then
        wrong = wrong + 1
    end
end
