;; marks.wat - vectors seen from outside, and brought back by a jump (test_vectors.c). Assembled by wast.py.
(module
  (import "host" "mark" (func $mark (param i32) (result i32)))
  (import "host" "jump" (func $jump (param i32)))
  (global $g (export "g") (mut v128) (v128.const i64x2 5 6))
  (global (export "minus") v128 (v128.const i8x16 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1))

  (func (export "turn") (param $a v128) (param $n i64) (param $b v128) (result i64 v128 i32)
    (i64.add (local.get $n) (i64.const 1))
    (i64x2.sub (local.get $b) (local.get $a))
    (i32.const 7))
  (func (export "take_global") (result v128) (local $v v128)
    (local.set $v (global.get $g))
    (global.set $g (i64x2.add (local.get $v) (v128.const i64x2 1 1)))
    (local.get $v))

  ;; marks its place with a vector in a local and one on the stack, spoils the local, and jumps back n times
  (func (export "run_marked") (param $n i32) (result v128) (local $v v128) (local $r i32)
    (local.set $v (i32x4.splat (i32.const 1000)))
    (v128.const i32x4 1 2 3 4)
    (local.set $r (call $mark (i32.const 77)))
    (i32x4.add (local.get $v))
    (local.set $v (i32x4.replace_lane 2 (local.get $v) (local.get $r)))
    (if (i32.lt_u (local.get $r) (local.get $n))
      (then (call $jump (i32.add (local.get $r) (i32.const 1)))))
    (i32x4.add (local.get $v))))
