-- Counts what wrk gets by the colour that the function says, and what comes without one, which no function has answered.
local threads = {}

function setup(thread) table.insert(threads, thread) end

function init()
  blue, red, gold, failed, lost, what = 0, 0, 0, 0, 0, ""
end

function response(status, headers, body)
  local color = headers["X-Color"]
  if color == nil then
    lost, what = lost + 1, status .. " " .. body
  elseif status ~= 200 then
    failed = failed + 1
  elseif color == "blue" then
    blue = blue + 1
  elseif color == "red" then
    red = red + 1
  elseif color == "gold" then
    gold = gold + 1
  end
end

function done(summary)
  local sum = {requests = summary.requests}
  for name, n in pairs(summary.errors) do
    if name ~= "status" then sum["errors." .. name] = n end -- a status is the function's own answer
  end
  for _, thread in ipairs(threads) do
    for _, name in ipairs({"blue", "red", "gold", "failed", "lost"}) do
      sum[name] = (sum[name] or 0) + thread:get(name)
    end
    if thread:get("what") ~= "" then print("an answer without a colour: " .. thread:get("what")) end
  end
  for name, n in pairs(sum) do print("count " .. name .. " " .. n) end
end
