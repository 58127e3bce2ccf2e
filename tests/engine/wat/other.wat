;; other.wat - imports everything from stops.wat: calls that cross instances, in both directions through the table.
(module
  (type $un (func (param i32) (result i64)))
  (import "stops" "run_fib" (func $fib (param i32) (result i64)))
  (import "stops" "table" (table $t 6 funcref))
  (import "stops" "memory" (memory 2 20))
  (func $mine (type $un) (i64.add (i64.load (i32.const 64)) (call $fib (local.get 0))))
  (elem (i32.const 5) $mine)
  (func (export "run_cross") (param $n i32) (result i64) (local $s i64)
    (i64.store (i32.const 64) (i64.const 1000))
    (loop $l
      (local.set $s (i64.add (local.get $s)
        (i64.add (call_indirect $t (type $un) (local.get $n) (i32.const 5)) (call $fib (i32.const 3)))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $s)))
