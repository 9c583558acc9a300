-- Who may pass in oauth2, after jwt has checked signature and exp. Plain Lua 5.1 inside Kong's sandbox: no require, no cjson.
local sub, byte, find, match, char, floor = string.sub, string.byte, string.find, string.match, string.char, math.floor
local MAX_DEPTH, MAX_BYTES = 16, 16384
local NULL = {}
local ESCAPES = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
local read_value

local function skip(text, at) return find(text, "[^ \t\r\n]", at) or #text + 1 end

local function utf8(code)
  if code < 0x80 then return char(code) end
  if code < 0x800 then return char(0xC0 + floor(code / 64), 0x80 + code % 64) end
  if code < 0x10000 then return char(0xE0 + floor(code / 4096), 0x80 + floor(code / 64) % 64, 0x80 + code % 64) end
  return char(0xF0 + floor(code / 262144), 0x80 + floor(code / 4096) % 64, 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
end

local function read_unit(text, at)
  local hex = match(text, "^%x%x%x%x", at)
  if not hex then error("bad escape") end
  return tonumber(hex, 16), at + 4
end

local function read_escape(text, at)
  local sign = sub(text, at, at)
  if sign ~= "u" then return ESCAPES[sign] or error("bad escape"), at + 1 end
  local code, next_at = read_unit(text, at + 1)
  if code >= 0xDC00 and code <= 0xDFFF then error("half a sign") end
  if code < 0xD800 or code > 0xDBFF then return utf8(code), next_at end
  if sub(text, next_at, next_at + 1) ~= "\\u" then error("half a sign") end
  local low, after = read_unit(text, next_at + 2)
  if low < 0xDC00 or low > 0xDFFF then error("half a sign") end
  return utf8(0x10000 + (code - 0xD800) * 1024 + (low - 0xDC00)), after
end

local function read_string(text, at)
  local parts, count = {}, 0
  while true do
    local stop = find(text, '[%c"\\]', at)
    if not stop then error("open string") end
    count = count + 1
    parts[count] = sub(text, at, stop - 1)
    local sign = byte(text, stop)
    if sign == 34 then return table.concat(parts), stop + 1 end
    if sign ~= 92 and sign ~= 127 then error("control sign in string") end
    count = count + 1
    if sign == 127 then
      parts[count], at = char(127), stop + 1
    else
      parts[count], at = read_escape(text, stop + 1)
    end
  end
end

local function read_number(text, at)
  local whole = match(text, "^-?%d+", at)
  if not whole or find(whole, "^-?0%d") then error("bad number") end
  local stop = at + #whole
  local fraction = match(text, "^%.%d+", stop)
  if fraction then stop = stop + #fraction end
  local exponent = match(text, "^[eE][+-]?%d+", stop)
  if exponent then stop = stop + #exponent end
  local value = tonumber(sub(text, at, stop - 1))
  if not value or value ~= value or value == math.huge or value == -math.huge then error("number out of range") end
  return value, stop
end

local function read_object(text, at, depth)
  local object, seen = {}, {}
  at = skip(text, at)
  if sub(text, at, at) == "}" then return object, at + 1 end
  while true do
    if sub(text, at, at) ~= '"' then error("name expected") end
    local name
    name, at = read_string(text, at + 1)
    if seen[name] then error("name twice") end
    seen[name] = true
    at = skip(text, at)
    if sub(text, at, at) ~= ":" then error("colon expected") end
    object[name], at = read_value(text, at + 1, depth + 1)
    at = skip(text, at)
    local sign = sub(text, at, at)
    if sign == "}" then return object, at + 1 end
    if sign ~= "," then error("comma expected") end
    at = skip(text, at + 1)
  end
end

local function read_array(text, at, depth)
  local list, count = {}, 0
  at = skip(text, at)
  if sub(text, at, at) == "]" then return { list = list }, at + 1 end
  while true do
    count = count + 1
    list[count], at = read_value(text, at, depth + 1)
    at = skip(text, at)
    local sign = sub(text, at, at)
    if sign == "]" then return { list = list }, at + 1 end
    if sign ~= "," then error("comma expected") end
    at = at + 1
  end
end

function read_value(text, at, depth)
  if depth > MAX_DEPTH then error("too deep") end
  at = skip(text, at)
  local sign = sub(text, at, at)
  if sign == '"' then return read_string(text, at + 1) end
  if sign == "{" then
    local object, after = read_object(text, at + 1, depth)
    return { object = object }, after
  end
  if sign == "[" then return read_array(text, at + 1, depth) end
  if sub(text, at, at + 3) == "true" then return true, at + 4 end
  if sub(text, at, at + 4) == "false" then return false, at + 5 end
  if sub(text, at, at + 3) == "null" then return NULL, at + 4 end
  return read_number(text, at)
end

local function object_of(part)
  part = part:gsub("-", "+"):gsub("_", "/")
  local text = ngx.decode_base64(part .. string.rep("=", (4 - #part % 4) % 4))
  if not text then error("no base64") end
  local value, after = read_value(text, 1, 1)
  if skip(text, after) <= #text then error("more after the end") end
  if type(value) ~= "table" or not value.object then error("no object") end
  return value.object
end

local function claims_of(token)
  if #token > MAX_BYTES then error("too long") end
  local head, claims = match(token, "^([%w_-]+)%.([%w_-]+)%.[%w_-]+$")
  if not head then error("no token") end
  -- Kong understands no extension, and would let a token pass that demands one (RFC 7515 4.1.11).
  if object_of(head).crit ~= nil then error("an extension that is not understood") end
  return object_of(claims)
end

local function holds(claim, wanted)
  if claim == wanted then return true end
  if type(claim) == "table" and claim.list then
    for _, one in ipairs(claim.list) do
      if one == wanted then return true end
    end
  end
  return false
end

local function has_scope(claim, wanted)
  if type(claim) == "string" then
    for word in claim:gmatch("[^ ]+") do
      if word == wanted then return true end
    end
    return false
  end
  return holds(claim, wanted)
end

local function is_early(claims)
  if claims.nbf == nil then return false end
  return type(claims.nbf) ~= "number" or claims.nbf > os.time() + 5
end

local function judge()
  -- jwt looks for its scheme anywhere in the header, so that other credentials before it would pass.
  local given = kong.request.get_header("Authorization")
  if type(given) ~= "string" or given:sub(1, 7):lower() ~= "bearer " then
    return { status = 401, body = UNAUTHENTICATED, challenge = MISSING }
  end
  local token, consumer = kong.ctx.shared.authenticated_jwt_token, kong.client.get_consumer()
  local is_read, claims = pcall(claims_of, type(token) == "string" and token or "")
  -- The consumer says whose key has signed: without it, one issuer could speak in the name of another.
  if not is_read or type(consumer) ~= "table" or consumer.id ~= CONSUMER or claims.iss ~= ISSUER or is_early(claims)
    or not holds(claims.aud, AUDIENCE) then
    return { status = 401, body = UNAUTHENTICATED, challenge = INVALID }
  end
  for _, scope in ipairs(SCOPES) do
    if not has_scope(claims.scope, scope) and not has_scope(claims.scp, scope) then
      return { status = 403, body = FORBIDDEN, challenge = TOO_FEW_SCOPES }
    end
  end
end
