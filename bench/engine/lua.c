/* lua.c - Lua from Debian's source package running script.lua: what a big switch interpreter with
 * tables, strings and a garbage collector costs. The runner compiles Lua's own files beside this
 * one, without a changed line.
 */
#include "bench.h"

#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

#include <stdio.h>

static const char script[] = {
#include "script.inc"
};

uint32_t run(uint32_t n)
{
	lua_State *L = luaL_newstate();
	uint32_t sum = 0;
	luaL_requiref(L, "_G", luaopen_base, 1);
	luaL_requiref(L, "string", luaopen_string, 1);
	luaL_requiref(L, "table", luaopen_table, 1);
	luaL_requiref(L, "math", luaopen_math, 1);
	lua_settop(L, 0);
	if (luaL_loadbuffer(L, script, sizeof(script), "script") != LUA_OK) {
		fprintf(stderr, "lua: %s\n", lua_tostring(L, -1));
		exit(1);
	}
	lua_pushinteger(L, (lua_Integer)n);
	lua_call(L, 1, 1);
	sum = (uint32_t)lua_tointeger(L, -1);
	lua_close(L);
	return sum;
}
