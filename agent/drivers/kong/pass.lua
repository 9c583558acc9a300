-- The access phase of post-function at each service: what no caller may pretend, who may pass, and under which name the upstream is asked.
local function tagged(tags, prefix)
  local found = {}
  for _, tag in ipairs(type(tags) == "table" and tags or {}) do
    if tag:sub(1, #prefix) == prefix then found[#found + 1] = tag:sub(#prefix + 1) end
  end
  return found
end

return function()
  for _, name in ipairs(NEVER_PASSED_ON) do kong.service.request.clear_header(name) end
  local refusal, consumer = judge()
  if refusal then
    return kong.response.exit(refusal.status, refusal.body, { ["Content-Type"] = PROBLEM_TYPE, ["WWW-Authenticate"] = refusal.challenge })
  end
  if consumer then kong.service.request.set_header(CONSUMER_HEADER, consumer) end
  local service = kong.router.get_service()
  if not service then return end
  local addresses, names = tagged(service.tags, ADDRESS_TAG), tagged(service.tags, HOST_TAG)
  if #addresses > 1 then kong.service.set_target(addresses[math.random(#addresses)], service.port) end
  -- After the target, which takes the name for its own; it also names the server to TLS.
  if names[1] then kong.service.request.set_header("Host", names[1]) end
end
