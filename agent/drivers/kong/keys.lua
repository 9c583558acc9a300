-- Who may pass in api-key, after key-auth has found the consumer: a key of any consumer of this Kong opens key-auth, and only those of this publish are ours.
local function judge()
  local consumer = kong.client.get_consumer()
  local name = type(consumer) == "table" and consumer.username
  if type(name) ~= "string" or name:sub(1, #CONSUMERS) ~= CONSUMERS then
    return { status = 401, body = UNAUTHENTICATED, challenge = INVALID }
  end
  return nil, name:sub(#CONSUMERS + 1)
end
