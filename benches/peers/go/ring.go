package main

import "time"

const nodes = 1000

var ringWorkloads = []workload{each("ring", 1_000_000, ring)}

// Passes a token the given number of hops around a ring of a thousand goroutines.
func ring(hops int) time.Duration {
	channels := make([]chan uint64, nodes)
	for id := range channels {
		channels[id] = make(chan uint64)
	}
	end := make(chan time.Time, 1)
	for id, in := range channels {
		out := channels[(id+1)%nodes]
		go func() {
			for left := range in {
				if left == 0 {
					end <- time.Now()
					break
				}
				out <- left - 1
			}
			// The next node ends too, and so on around the ring.
			close(out)
		}()
	}
	start := time.Now()
	channels[0] <- uint64(hops)
	return (<-end).Sub(start)
}
