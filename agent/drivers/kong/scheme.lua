-- The access phase of pre-function before jwt, which knows two spellings of Bearer: schemes are written in any case (RFC 9110 11.1).
return function()
  local given = kong.request.get_header("Authorization")
  if type(given) == "string" and given:sub(1, 7):lower() == "bearer " then
    kong.service.request.set_header("Authorization", "Bearer " .. given:sub(8))
  end
end
