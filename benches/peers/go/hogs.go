package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// The number of goroutines that compute, whatever the number of Ps.
	spinners = 2
	nap      = time.Millisecond
	naps     = 200
	// The limit for all sleeps together.
	patience = 4 * time.Second
)

var hogWorkloads = []workload{
	several("hog_spin", func() []figure { return beside(spinners, spin) }),
	several("hog_block", func() []figure { return beside(runtime.GOMAXPROCS(0), call) }),
}

// The following are for work beside goroutines that compute in long turns or block their threads.
const (
	busyOnes  = 4
	turn      = 2 * time.Millisecond
	hogs      = 60
	blocked   = 300
	blockTime = 20 * time.Millisecond
)

var fairWorkloads = []workload{
	several("busy_io", tripsBesideBusy),
	several("hogs_60", manyHogs),
	whole("block_300", manyBlocked),
}

func compute(duration time.Duration) {
	for begin := time.Now(); time.Since(begin) < duration; {
	}
}

// Measures how long a byte and its echo take. The client is a process of its own: a thread of this
// process would need a P to continue after each system call.
func tripsBesideBusy() []figure {
	program := os.Getenv("PEER_CLIENT")
	if program == "" {
		refuse("PEER_CLIENT must be the path of one of the Rust peers, which acts as the client")
	}
	addr := serve(1)
	var stop atomic.Bool
	var all sync.WaitGroup
	for range busyOnes {
		start(&all, func() {
			for !stop.Load() {
				compute(turn)
				runtime.Gosched()
			}
		})
	}
	client := exec.Command(program, "trips-client", addr)
	client.Stderr = os.Stderr
	output, err := client.Output()
	if err != nil {
		panic(err)
	}
	stop.Store(true)
	all.Wait()
	var p50, p99 float64
	if _, err := fmt.Sscan(string(output), &p50, &p99); err != nil {
		panic(err)
	}
	return []figure{{"p50", p50}, {"p99", p99}}
}

func start(all *sync.WaitGroup, f func()) {
	all.Add(1)
	go func() {
		defer all.Done()
		f()
	}()
}

// Measures how long they take together, and the largest number of threads in that time.
func manyHogs() []figure {
	steps := func(count uint64) {
		number := uint64(1)
		for step := range count {
			number *= step | 1
		}
		spun.Store(number)
	}
	const sample = 1_000_000
	quickest := time.Hour
	for range 10 {
		begin := time.Now()
		steps(sample)
		quickest = min(quickest, time.Since(begin))
	}
	count := sample * uint64(50*time.Millisecond) / uint64(max(quickest, 1))
	var stop atomic.Bool
	most := make(chan int)
	go func() {
		runtime.LockOSThread()
		threads := 0
		for !stop.Load() {
			tasks, _ := os.ReadDir("/proc/self/task")
			threads = max(threads, len(tasks)-1)
			pause := syscall.NsecToTimespec(int64(5 * time.Millisecond))
			_ = syscall.Nanosleep(&pause, nil)
		}
		most <- threads
	}()
	begin := time.Now()
	var all sync.WaitGroup
	for range hogs {
		start(&all, func() { steps(count) })
	}
	all.Wait()
	took := time.Since(begin)
	stop.Store(true)
	return []figure{{"ms", float64(took.Nanoseconds()) / 1e6}, {"threads", float64(<-most)}}
}

// Measures the time until all of them have blocked their threads and continued.
func manyBlocked() time.Duration {
	begin := time.Now()
	var all sync.WaitGroup
	for range blocked {
		start(&all, func() {
			time := syscall.NsecToTimespec(int64(blockTime))
			_ = syscall.Nanosleep(&time, nil)
		})
	}
	all.Wait()
	return time.Since(begin)
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

// Never read: it only keeps the compiler from removing the loop.
var spun atomic.Uint64

func call(stop *atomic.Bool) {
	for !stop.Load() {
		time := syscall.NsecToTimespec(int64(100 * time.Millisecond))
		// Nanosleep fails if a signal interrupts it. The next call sleeps again.
		_ = syscall.Nanosleep(&time, nil)
	}
}

// Measures how late the sleeps end beside hogs: the median and the 99th percentile.
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
			fmt.Printf("gave up: no sleep of %v ended within %v\n", nap, patience)
			os.Exit(0)
		}
		// The pending sleep counts with its lateness so far.
		late = append(late, max(time.Since(asked)-nap, 0))
		mutex.Unlock()
	}
	stop.Store(true)
	hogs.Wait()
	<-awake
	slices.Sort(late)
	if late[0] < 0 {
		panic("a sleep ended early")
	}
	return []figure{micros("p50", percentile(late, 50)), micros("p99", percentile(late, 99))}
}
