# glue.awk - wali_calls.h from sdk/abi/wali.def: each call's import, a switch over the numbers, and the same
# for arguments in a va_list (whose 32-bit ones take 4 bytes).
#
#	awk -f glue.awk wali.def >wali_calls.h
BEGIN {
	type["i"] = "int"; type["l"] = "long"; type["p"] = "unsigned"
	print "/* wali_calls.h - made by sdk/musl/glue.awk from sdk/abi/wali.def. */"
}
/^WALI_CALL\(/ {
	gsub(/^WALI_CALL\(|\).*$/, ""); split($0, f, /, */)
	name = f[1]; number = f[3]; params = f[2]; gsub(/"/, "", params)
	decl = args = vargs = vdecl = ""
	for (i = 1; i <= length(params); i++) {
		t = type[substr(params, i, 1)]; c = substr("abcdef", i, 1); comma = i > 1 ? ", " : ""
		decl = decl comma t
		args = args comma "(" t ")" c
		vdecl = vdecl " " t " " c " = va_arg(ap, " t ");"
		vargs = vargs comma c
	}
	if (decl == "") decl = "void"
	printf "__attribute__((import_module(\"wali\"), import_name(\"SYS_%s\")))\nlong __wali_%s(%s);\n", name, name, decl
	cases = cases sprintf("\tcase %d: return __wali_%s(%s);\n", number, name, args)
	vcases = vcases sprintf("\tcase %d: {%s return __wali_%s(%s); }\n", number, vdecl, name, vargs)
}
END {
	print "\nstatic inline __attribute__((always_inline)) long __wali_switch(long n, long a, long b, long c, long d, long e, long f)"
	print "{\n\tswitch (n) {"
	printf "%s", cases
	print "\tdefault: return -38; /* ENOSYS */\n\t}\n}"
	print "\n#ifdef WALI_VARIADIC\nstatic inline long __wali_vswitch(long n, va_list ap)\n{\n\tswitch (n) {"
	printf "%s", vcases
	print "\tdefault: return -38;\n\t}\n}\n#endif"
}
