package main

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"
)

var sleepWorkloads = []workload{
	several("sleep_20k", func() []figure {
		_, late := sleep(20_000)
		return []figure{micros("p50", percentile(late, 50)), micros("p99", percentile(late, 99))}
	}),
	several("sleep_1m", func() []figure {
		wall, late := sleep(1_000_000)
		return []figure{{"wall", float64(wall.Nanoseconds()) / 1e6}, micros("p99", percentile(late, 99))}
	}),
}

// Runs goroutines that sleep for 1 to 1000 ms each. Returns how long all of it took, and how late
// each goroutine was, sorted.
func sleep(count int) (time.Duration, []time.Duration) {
	random := rand.New(rand.NewPCG(1, 2))
	times := make([]time.Duration, count)
	for id := range times {
		times[id] = time.Millisecond + time.Duration(random.Int64N(int64(999*time.Millisecond)+1))
	}
	late := make([]time.Duration, count)
	var asleep atomic.Int64
	asleep.Store(int64(count))
	ended := make(chan time.Time, 1)
	start := time.Now()
	for id, duration := range times {
		go func() {
			asked := time.Now()
			time.Sleep(duration)
			end := time.Now()
			late[id] = end.Sub(asked) - duration
			if asleep.Add(-1) == 0 {
				ended <- end
			}
		}()
	}
	wall := (<-ended).Sub(start)
	slices.Sort(late)
	if late[0] < 0 {
		panic("a sleep ended early")
	}
	return wall, late
}

// Returns the smallest time that the given percentage of a sorted sample does not exceed.
func percentile(sorted []time.Duration, percent int) time.Duration {
	return sorted[(len(sorted)*percent+99)/100-1]
}
