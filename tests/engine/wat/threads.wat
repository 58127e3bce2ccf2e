;; threads.wat - what several threads of one store do together: a lock, a queue between them, a barrier. Assembled by wast.py.
;;   16 lock, 20 counter, 24 the barrier's count, 28 its round; 32 head, 36 tail of the queue, 64.. its 8 places
(module
  (import "host" "wait" (func $pause (param i32) (result i32)))
  (memory (export "memory") 1 1 shared)
  (tag $done (param i64))
  (global $own (mut i64) (i64.const 5))

  (func $lock
    (loop $again
      (if (i32.atomic.rmw.cmpxchg offset=16 (i32.const 0) (i32.const 0) (i32.const 1))
        (then
          (drop (memory.atomic.wait32 offset=16 (i32.const 0) (i32.const 1) (i64.const -1)))
          (br $again)))))
  (func $unlock
    (i32.atomic.store offset=16 (i32.const 0) (i32.const 0))
    (drop (memory.atomic.notify offset=16 (i32.const 0) (i32.const 1))))
  ;; n times: an increment under the lock that is read and written with a loop between
  (func (export "count") (param $n i32) (result i64) (local $v i32) (local $i i32)
    (loop $l
      (call $lock)
      (local.set $v (i32.load (i32.const 20)))
      (local.set $i (i32.const 3))
      (loop $w (br_if $w (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (i32.store (i32.const 20) (i32.add (local.get $v) (i32.const 1)))
      (call $unlock)
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.load32_u (i32.const 20)))

  ;; 5 and the numbers from n to 1, in a global
  (func (export "own") (param $n i32) (result i64)
    (loop $l
      (global.set $own (i64.add (global.get $own) (i64.extend_i32_u (local.get $n))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (global.get $own))

  ;; each of 8 threads meets the others 2n times; gives the sum of the rounds it saw
  (func $meet (local $round i32)
    (local.set $round (i32.atomic.load (i32.const 28)))
    (if (i32.eq (i32.atomic.rmw.add (i32.const 24) (i32.const 1)) (i32.const 7))
      (then
        (i32.atomic.store (i32.const 24) (i32.const 0))
        (i32.atomic.store (i32.const 28) (i32.add (local.get $round) (i32.const 1)))
        (drop (memory.atomic.notify (i32.const 28) (i32.const -1)))
        (return)))
    (loop $l
      (drop (memory.atomic.wait32 (i32.const 28) (local.get $round) (i64.const -1)))
      (br_if $l (i32.eq (i32.atomic.load (i32.const 28)) (local.get $round)))))
  (func (export "meet") (param $n i32) (result i64) (local $sum i64)
    (loop $l
      (call $meet)
      (local.set $sum (i64.add (local.get $sum) (i64.load32_u (i32.const 28))))
      (call $meet)
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  ;; a queue of 8 places: put n numbers, take n and throw their sum to oneself
  (func (export "put") (param $n i32) (result i64) (local $tail i32)
    (loop $l
      (local.set $tail (i32.atomic.load (i32.const 36)))
      (block $room
        (loop $full
          (br_if $room (i32.lt_u (i32.sub (local.get $tail) (i32.atomic.load (i32.const 32))) (i32.const 8)))
          (drop (memory.atomic.wait32 (i32.const 32) (i32.sub (local.get $tail) (i32.const 8)) (i64.const 1000000)))
          (br $full)))
      (i32.store offset=64 (i32.shl (i32.and (local.get $tail) (i32.const 7)) (i32.const 2)) (local.get $n))
      (i32.atomic.store (i32.const 36) (i32.add (local.get $tail) (i32.const 1)))
      (drop (memory.atomic.notify (i32.const 36) (i32.const 1)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.const 0))
  (func (export "take") (param $n i32) (result i64) (local $head i32) (local $sum i64)
    (block $h (result i64)
      (try_table (catch $done $h)
        (loop $l
          (local.set $head (i32.atomic.load (i32.const 32)))
          (block $some
            (loop $empty
              (br_if $some (i32.ne (local.get $head) (i32.atomic.load (i32.const 36))))
              (drop (memory.atomic.wait32 (i32.const 36) (local.get $head) (i64.const -1)))
              (br $empty)))
          (local.set $sum (i64.add (local.get $sum)
            (i64.load32_u offset=64 (i32.shl (i32.and (local.get $head) (i32.const 7)) (i32.const 2)))))
          (i32.atomic.store (i32.const 32) (i32.add (local.get $head) (i32.const 1)))
          (drop (memory.atomic.notify (i32.const 32) (i32.const 1)))
          (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (throw $done (local.get $sum)))
      (unreachable)))

  (func (export "wait") (param $timeout i64) (result i64)
    (i64.extend_i32_u (memory.atomic.wait32 (i32.const 48) (i32.const 0) (local.get $timeout))))
  (func (export "notify") (param $n i32) (result i64)
    (i64.extend_i32_u (memory.atomic.notify (i32.const 48) (local.get $n))))
  (func (export "pause") (param $n i32) (result i64) (local $s i64)
    (loop $l
      (local.set $s (i64.add (local.get $s) (i64.extend_i32_u (call $pause (local.get $n)))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $s))
  (func (export "spin") (param $n i32) (result i64)
    (loop $l (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i64.const 5)))
