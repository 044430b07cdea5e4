package main

import (
	"runtime"
	"time"
)

var yieldWorkloads = []workload{
	each("yield_2", 5_000_000, func(n int) time.Duration { return crew(2, n, yields) }),
	each("yield_1000", 5_000_000, func(n int) time.Duration { return crew(1000, n, yields) }),
}

func yields(first, end int) {
	for range end - first {
		runtime.Gosched()
	}
}
