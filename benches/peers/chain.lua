-- Key, rate limit per consumer and JSON access log, as a Lua gateway does them.

local cjson = require("cjson.safe")

-- Requests a minute and consumer; never reached: the limit counts and does not refuse.
local LIMIT = 1000000000
local WINDOW = 60
-- The log is written in blocks of this many bytes, or every second.
local BLOCK = 65536

local chain = {}
local log_file
local lines, bytes = {}, 0

function chain.load_keys(path)
  for key, consumer in pairs(dofile(path)) do
    ngx.shared.consumers:set(key, consumer)
  end
end

local function flush()
  if #lines > 0 then
    log_file:write(table.concat(lines))
    log_file:flush()
    lines, bytes = {}, 0
  end
end

function chain.open_log(path)
  log_file = assert(io.open(path, "a"))
  ngx.timer.every(1, flush)
end

local function refuse(status, message)
  ngx.status = status
  ngx.header["Content-Type"] = "application/json"
  ngx.print('{"message":"' .. message .. '"}')
  return ngx.exit(status)
end

function chain.access()
  local key = ngx.var.http_apikey
  local consumer = key and ngx.shared.consumers:get(key)
  if not consumer then
    return refuse(401, "unauthorized")
  end
  ngx.ctx.consumer = consumer
  ngx.req.set_header("X-Consumer-Username", consumer)

  local window = math.floor(ngx.now() / WINDOW)
  local count = ngx.shared.counters:incr(consumer .. ":" .. window, 1, 0, 2 * WINDOW)
  if count and count > LIMIT then
    return refuse(429, "rate limit exceeded")
  end
  ngx.header["RateLimit-Limit"] = LIMIT
  ngx.header["RateLimit-Remaining"] = LIMIT - (count or 0)
  ngx.header["RateLimit-Reset"] = math.ceil((window + 1) * WINDOW - ngx.now())
end

function chain.log()
  local var = ngx.var
  local line = cjson.encode({
    time = ngx.now(),
    client = var.remote_addr,
    method = var.request_method,
    path = var.request_uri,
    status = ngx.status,
    bytes = tonumber(var.bytes_sent),
    duration = tonumber(var.request_time),
    consumer = ngx.ctx.consumer,
    agent = var.http_user_agent,
    upstream = var.upstream_response_time,
  }) .. "\n"
  lines[#lines + 1] = line
  bytes = bytes + #line
  if bytes > BLOCK then
    flush()
  end
end

return chain
