package main

import (
	"sync/atomic"
	"time"
)

const (
	primes    = 2000
	lastPrime = 17389
)

var sieveWorkloads = []workload{whole("sieve_2000", sieve)}

// Primes from a chain of goroutines, each of which passes on the numbers that its prime does not
// divide.
func sieve() time.Duration {
	start := time.Now()
	var enough atomic.Bool
	ch := numbers(&enough)
	last := uint64(0)
	for range primes {
		last = <-ch
		ch = filter(ch, last)
	}
	elapsed := time.Since(start)
	if last != lastPrime {
		panic("the last prime is wrong")
	}
	// An abandoned chain would go on until every link blocks, beside the next repetition.
	enough.Store(true)
	for range ch {
	}
	return elapsed
}

func numbers(enough *atomic.Bool) chan uint64 {
	out := make(chan uint64)
	go func() {
		for n := uint64(2); !enough.Load(); n++ {
			out <- n
		}
		close(out)
	}()
	return out
}

func filter(in chan uint64, prime uint64) chan uint64 {
	out := make(chan uint64)
	go func() {
		for n := range in {
			if n%prime != 0 {
				out <- n
			}
		}
		close(out)
	}()
	return out
}
