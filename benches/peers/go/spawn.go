package main

import (
	"sync"
	"sync/atomic"
	"time"
)

var spawnWorkloads = []workload{
	each("spawn_join_10k", 1_000_000, func(n int) time.Duration { return spawnJoin(10_000, n) }),
	each("spawn_join_1m", 1_000_000, func(n int) time.Duration { return spawnJoin(n, n) }),
}

// Starts count goroutines that do almost nothing, and waits for them after each batch.
func spawnJoin(batch, count int) time.Duration {
	var run atomic.Int64
	start := time.Now()
	for left := count; left > 0; left -= batch {
		batch = min(batch, left)
		var running sync.WaitGroup
		running.Add(batch)
		for range batch {
			go func() {
				run.Add(1)
				running.Done()
			}()
		}
		running.Wait()
	}
	elapsed := time.Since(start)
	if run.Load() != int64(count) {
		panic("a goroutine did not run")
	}
	return elapsed
}
