-- Requests spread over /api/service-0/orders and so on, in no order that a cache could learn. The argument says over
-- how many services.

-- A prime, so that every service comes up, whatever their number.
local STEP = 61813

local services
local number = 0

function init(args)
  services = tonumber(args[1])
end

function request()
  number = (number + STEP) % services
  return wrk.format(nil, "/api/service-" .. number .. "/orders")
end
