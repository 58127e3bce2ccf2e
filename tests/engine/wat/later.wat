;; later.wat - what came to wasm after 2.0, in the middle of which a guest can stand: tail calls. Assembled by wast.py. Each
;; export run_* takes a size and gives a number.
(module
  (import "host" "add" (func $host_add (param i32 i64) (result i64)))
  (import "stops" "run_fib" (func $fib (param i32) (result i64)))
  (import "stops" "table" (table $t 6 funcref))
  (import "stops" "memory" (memory 2 20))
  (type $step (func (param i32 i64) (result i64)))
  (elem (table $t) (i32.const 4) func $third)

  ;; three functions that call each other in turn, by every kind of tail call
  (func $first (type $step)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call $second (i32.sub (local.get 0) (i32.const 1)) (i64.add (local.get 1) (i64.const 3)) (f64.const 0.5)))
  (func $second (param i32 i64 f64) (result i64) (local i64)
    (if (i32.eqz (local.get 0)) (then (return_call $host_add (i32.const 7) (i64.add (local.get 1) (local.get 3)))))
    (local.set 3 (i64.const -1))
    (return_call_indirect $t (type $step) (i32.sub (local.get 0) (i32.const 1))
      (i64.xor (local.get 1) (i64.trunc_f64_s (f64.add (local.get 2) (f64.const 4.5)))) (i32.const 4)))
  (func $third (type $step)
    (if (i32.eqz (local.get 0)) (then (return_call $fib (i32.const 6))))
    (return_call $first (i32.sub (local.get 0) (i32.const 1)) (i64.rotl (local.get 1) (i64.const 1))))
  (func (export "run_tail") (param $n i32) (result i64) (local $s i64)
    (loop $l
      (i64.store (i32.const 128) (local.get $s))
      (call $first (local.get $n) (i64.const 1))
      (i64.load (i32.const 128))
      (local.set $s (i64.add))
      (br_if $l (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0))))
    (local.get $s))
  (func (export "run_tail_once") (param $n i32) (result i64) (return_call $first (local.get $n) (i64.const 0))))
