-- The body_filter phase of post-function: the body that kong_refusal.lua has announced, once, when the whole of Kong's own is there.
return function()
  local body = kong.ctx.shared.imp_body
  if body and kong.response.get_raw_body() then kong.response.set_raw_body(body) end
end
