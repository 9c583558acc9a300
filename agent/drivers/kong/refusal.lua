-- The header_filter phase of post-function: what key-auth and jwt say by themselves becomes what every gateway of ours says. An upstream's own 401 stays.
return function()
  if kong.response.get_status() ~= 401 or kong.response.get_source() == "service" then return end
  local given = kong.request.get_header("Authorization")
  local came_with_a_token = type(given) == "string" and given:lower():sub(1, 7) == "bearer "
  kong.response.set_header("Content-Type", PROBLEM_TYPE)
  kong.response.set_header("WWW-Authenticate", came_with_a_token and INVALID or MISSING)
  kong.response.set_header("Content-Length", #UNAUTHENTICATED)
  kong.ctx.shared.imp_body = UNAUTHENTICATED
end
