// cpp_exceptions.cpp - C++ exceptions as clang emits them: run(n) is also what a native build prints for n (main). What a C++
// library would do is here in short: exceptions are ints, and every catch is `catch (...)`.
#ifdef NATIVE
#include <cstdio>
#include <cstdlib>
#else
extern "C" {
typedef decltype(sizeof 0) size_t;
static char heap[65536];
static size_t top;
void *__cxa_allocate_exception(size_t n)
{
	void *p = heap + top;
	top = ((top + n + 15) & ~(size_t)15) % 60000;
	return p;
}
[[noreturn]] void __cxa_throw(void *p, void *, void (*)(void *))
{
	__builtin_wasm_throw(0, p);
}
void *__cxa_begin_catch(void *p)
{
	return p;
}
void __cxa_end_catch()
{
}
void _ZSt9terminatev()
{
	__builtin_trap();
}
struct {
	int lpad;
	void *lsda;
	int sel;
} __wasm_lpad_context;
int _Unwind_CallPersonality(void *)
{
	__wasm_lpad_context.sel = 1;
	return 0;
}
}
namespace __cxxabiv1
{
struct __fundamental_type_info {
	virtual void unused();
};
void __fundamental_type_info::unused()
{
}
} // namespace __cxxabiv1
#endif

static int live; // guards that stand now

struct guard {
	guard()
	{
		live++;
	}
	~guard()
	{
		live--;
	}
};

__attribute__((noinline)) static int deep(int n, int v)
{
	guard g;
	if (n == 0)
		throw v;
	return deep(n - 1, v + 1) + n;
}

__attribute__((noinline)) static int sometimes(int i)
{
	guard g;
	if (i % 3 == 0)
		deep(i % 40, i);
	return i;
}

#ifndef NATIVE
__attribute__((export_name("run")))
#endif
extern "C" int
run(int n)
{
	int sum = 0;
	for (int i = 0; i < n; i++) {
		try {
			guard g;
			sum += sometimes(i);
		} catch (...) {
			sum += 1 + live * 1000;
		}
		try {
			try {
				deep(3, i);
			} catch (...) {
				guard g;
				deep(2, 1);
			}
		} catch (...) {
			sum += 2 + live * 1000;
		}
	}
	return sum;
}

#ifdef NATIVE
int main(int argc, char **argv)
{
	printf("%u\n", (unsigned)run(atoi(argv[1])));
}
#endif
