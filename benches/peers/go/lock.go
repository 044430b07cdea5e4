package main

import (
	"sync"
	"time"
)

const contenders = 8

var lockWorkloads = []workload{
	each("mutex_8", 5_000_000, mutex),
	each("rwlock_1pct", 3_000_000, rwlock),
}

func mutex(locks int) time.Duration {
	var mu sync.Mutex
	total := 0
	elapsed := crew(contenders, locks, func(first, end int) {
		for range end - first {
			mu.Lock()
			total++
			mu.Unlock()
		}
	})
	if total != locks {
		panic("the mutex was held twice at once")
	}
	return elapsed
}

func rwlock(operations int) time.Duration {
	var mu sync.RWMutex
	writes := 0
	elapsed := crew(contenders, operations, func(first, end int) {
		for n := first; n < end; n++ {
			if n%100 == 0 {
				mu.Lock()
				writes++
				mu.Unlock()
			} else {
				mu.RLock()
				if writes > operations {
					panic("more writes than operations")
				}
				mu.RUnlock()
			}
		}
	})
	if writes != (operations+99)/100 {
		panic("two writers held the lock at once")
	}
	return elapsed
}

// Runs operations in a number of goroutines: each does those from first up to end.
func crew(members, operations int, work func(first, end int)) time.Duration {
	var working sync.WaitGroup
	start := time.Now()
	for id := range members {
		working.Add(1)
		go func() {
			work(operations*id/members, operations*(id+1)/members)
			working.Done()
		}()
	}
	working.Wait()
	return time.Since(start)
}
