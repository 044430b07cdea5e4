package main

import "time"

var skynetWorkloads = []workload{
	whole("skynet_10k", func() time.Duration { return skynet(10_000) }),
	whole("skynet_1m", func() time.Duration { return skynet(1_000_000) }),
}

// A tree of goroutines, each with ten children. The leaves send their numbers, and the other nodes
// send sums.
func skynet(leaves uint64) time.Duration {
	start := time.Now()
	ch := make(chan uint64)
	go node(ch, 0, leaves)
	sum := <-ch
	elapsed := time.Since(start)
	if sum != leaves*(leaves-1)/2 {
		panic("the sum is wrong")
	}
	return elapsed
}

func node(parent chan uint64, first, leaves uint64) {
	if leaves == 1 {
		parent <- first
		return
	}
	ch := make(chan uint64)
	part := leaves / 10
	for child := range uint64(10) {
		go node(ch, first+child*part, part)
	}
	sum := uint64(0)
	for range 10 {
		sum += <-ch
	}
	parent <- sum
}
