package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// Those that compute, whatever the number of Ps.
	spinners = 2
	nap      = time.Millisecond
	naps     = 200
	// For all of the sleeps together.
	patience = 4 * time.Second
)

var hogWorkloads = []workload{
	several("hog_spin", func() []figure { return beside(spinners, spin) }),
	several("hog_block", func() []figure { return beside(runtime.GOMAXPROCS(0), call) }),
}

func spin(stop *atomic.Bool) {
	number := uint64(1)
	for !stop.Load() {
		for range 1000 {
			number *= 6_364_136_223_846_793_005
		}
	}
	spun.Store(number)
}

// Nobody asks for it: the loop has to be one for the compiler too.
var spun atomic.Uint64

func call(stop *atomic.Bool) {
	for !stop.Load() {
		time := syscall.NsecToTimespec(int64(100 * time.Millisecond))
		// Nanosleep fails if a signal interrupts it, and then the next one sleeps.
		_ = syscall.Nanosleep(&time, nil)
	}
}

// How late half of the sleeps and nearly all of them end beside so many hogs.
func beside(count int, hog func(stop *atomic.Bool)) []figure {
	var stop atomic.Bool
	var hogs sync.WaitGroup
	begun := make(chan struct{}, count)
	for range count {
		hogs.Add(1)
		go func() {
			defer hogs.Done()
			begun <- struct{}{}
			hog(&stop)
		}()
	}
	// More than that may never run at once.
	for range min(count, runtime.GOMAXPROCS(0)) {
		<-begun
	}

	var mutex sync.Mutex
	var late []time.Duration
	asked := time.Now()
	awake := make(chan struct{})
	go func() {
		defer close(awake)
		for i := 0; i < naps && !stop.Load(); i++ {
			mutex.Lock()
			asked = time.Now()
			mutex.Unlock()
			time.Sleep(nap)
			end := time.Now()
			mutex.Lock()
			late = append(late, end.Sub(asked)-nap)
			mutex.Unlock()
		}
	}()
	select {
	case <-awake:
	case <-time.After(patience):
		mutex.Lock()
		if len(late) == 0 {
			fmt.Printf("gave up: not one sleep of %v has ended within %v\n", nap, patience)
			os.Exit(0)
		}
		// As late as it is now.
		late = append(late, max(time.Since(asked)-nap, 0))
		mutex.Unlock()
	}
	stop.Store(true)
	hogs.Wait()
	<-awake
	slices.Sort(late)
	if late[0] < 0 {
		panic("the sleeper woke early")
	}
	return []figure{micros("p50", percentile(late, 50)), micros("p99", percentile(late, 99))}
}
