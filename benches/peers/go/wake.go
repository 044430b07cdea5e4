package main

import (
	"slices"
	"time"
)

var wakeWorkloads = []workload{
	several("wake_hot", func() []figure { return wake(5000, 0) }),
	several("wake_idle", func() []figure { return wake(1000, 2*time.Millisecond) }),
}

// How long the sender computes after a send.
const busy = 200 * time.Microsecond

// Measures the time from just before each send to just after its receive. After gap, the next send
// follows.
func wake(count int, gap time.Duration) []figure {
	values, answers := make(chan struct{}, 1), make(chan time.Time, 1)
	go func() {
		for range values {
			answers <- time.Now()
		}
	}()
	latencies := make([]time.Duration, count)
	for id := range latencies {
		sent := time.Now()
		values <- struct{}{}
		for start := time.Now(); time.Since(start) < busy; {
		}
		latencies[id] = (<-answers).Sub(sent)
		if gap > 0 {
			time.Sleep(gap)
		}
	}
	close(values)
	slices.Sort(latencies)
	return []figure{micros("p50", percentile(latencies, 50)), micros("p99", percentile(latencies, 99))}
}
