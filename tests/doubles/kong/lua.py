"""The sandbox of pre- and post-function: LuaJIT with the few functions of Kong's own sandbox."""

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any

from lupa import luajit21

from tests.doubles.kong.pdk import Pdk

_PRELUDE = """
local python = ...
local function exit(status, body, headers) coroutine.yield(status, body, headers) end
local function sandbox(shared, entities, pdk)
  local env = {
    assert = assert, error = error, ipairs = ipairs, next = next, pairs = pairs, pcall = pcall,
    select = select, tonumber = tonumber, tostring = tostring, type = type, unpack = unpack,
    xpcall = xpcall, _VERSION = _VERSION, math = math,
    string = { byte = string.byte, char = string.char, find = string.find, format = string.format,
      gmatch = string.gmatch, gsub = string.gsub, len = string.len, lower = string.lower,
      match = string.match, reverse = string.reverse, sub = string.sub, upper = string.upper,
      rep = string.rep },
    table = { concat = table.concat, insert = table.insert, remove = table.remove, sort = table.sort,
      maxn = table.maxn },
    os = { clock = os.clock, date = os.date, difftime = os.difftime, time = os.time },
    require = function(name) error("require '" .. name .. "' not allowed within sandbox") end,
    ngx = { decode_base64 = function(text) return python.decode_base64(text) end,
      re = { match = function() error("not in this double") end },
      time = os.time, now = os.time },
    kong = { ctx = { shared = shared }, db = {}, request = { get_header = pdk.get_header },
      response = { exit = exit, get_status = pdk.get_status, get_source = pdk.get_source,
        set_header = pdk.set_response_header,
        get_raw_body = pdk.get_raw_body, set_raw_body = pdk.set_raw_body },
      router = { get_service = function() return entities.service end },
      service = { set_target = pdk.set_target,
        request = { set_header = pdk.set_header, clear_header = pdk.clear_header } },
      client = { get_consumer = function() return entities.consumer end,
        get_credential = function() return entities.credential end } },
  }
  return env
end
return {
  fault = function(code) local _, problem = loadstring(code); return problem end,
  run = function(code, shared, entities, pdk)
    local chunk = assert(loadstring(code))
    setfenv(chunk, sandbox(shared, entities, pdk))
    local thread = coroutine.create(function()
      local handler = chunk()
      if type(handler) == "function" then handler() end
      return nil
    end)
    local fine, status, body, headers = coroutine.resume(thread)
    if not fine then error(status) end
    return status, body, headers
  end,
}
"""


@dataclass(frozen=True, kw_only=True)
class Exit:
    """An answer that the code gave itself."""

    status: int
    body: str
    headers: dict[str, str]
    is_json: bool


class LuaFailed(Exception):
    """The code raised an error."""


@dataclass
class Sandbox:
    """One Lua state; not for several threads at once."""

    lua: Any = field(
        default_factory=lambda: luajit21.LuaRuntime(
            encoding="latin-1", unpack_returned_tuples=True, register_eval=False, register_builtins=False
        )
    )

    def __post_init__(self) -> None:
        helpers = self.lua.table_from({"decode_base64": _decode_base64})
        self._environment = self.lua.compile(_PRELUDE)(helpers)

    def fault_of(self, code: str) -> str:
        """The compiler's objection ("" when there is none)."""
        return str(self._environment["fault"](_in(code)) or "")

    def run(self, code: str, pdk: Pdk) -> Exit | None:
        """Run the code as Kong does: a chunk, and the function that it may return. Raises LuaFailed."""
        exchange = pdk.exchange
        shared = self._table(exchange.shared)
        entities = self._table(
            {"consumer": exchange.consumer, "credential": exchange.credential, "service": pdk.service}
        )
        try:
            result = self._environment["run"](
                _in(code), shared, entities, self.lua.table_from(pdk.functions())
            )
        except luajit21.LuaError as problem:
            raise LuaFailed(str(problem)) from problem
        exchange.shared |= {str(key): _out(value) for key, value in shared.items() if isinstance(value, str)}
        status, body, headers = (*(result if isinstance(result, tuple) else (result,)), None, None)[:3]
        if status is None:
            return None
        is_json = luajit21.lua_type(body) == "table"
        text = json.dumps(_plain(body)) if is_json else _out(str(body or ""))
        return Exit(
            status=int(status),
            body=text,
            headers={str(key): _out(str(value)) for key, value in dict(headers or {}).items()},
            is_json=is_json,
        )

    def _table(self, content: dict[str, Any]) -> Any:
        fields = {key: self._value(value) for key, value in content.items()}
        return self.lua.table_from({key: value for key, value in fields.items() if value is not None})

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return self.lua.table_from([self._value(entry) for entry in value])
        if isinstance(value, dict):
            return self._table(value)
        return _in(value) if isinstance(value, str) else value


def _decode_base64(text: str) -> str | None:
    try:
        return base64.b64decode(text, validate=True).decode("latin-1")
    except (binascii.Error, ValueError):
        return None


def _in(text: str) -> str:
    """Lua's strings are bytes; here each byte is one Latin-1 sign."""
    return text.encode().decode("latin-1")


def _out(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", errors="replace")


def _plain(value: Any) -> Any:
    if luajit21.lua_type(value) != "table":
        return _out(value) if isinstance(value, str) else value
    pairs = dict(value.items())
    if pairs and all(isinstance(key, int) for key in pairs):
        return [_plain(pairs[key]) for key in sorted(pairs)]
    return {str(key): _plain(entry) for key, entry in pairs.items()}
