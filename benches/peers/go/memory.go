package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// How long goroutines that have used their stacks stay parked, and how long idling is measured.
	rest = 3 * time.Second
	// New goroutines settle, and spinning Ms go to sleep.
	settling    = 3 * time.Second
	idleCount   = 10_000
	stackStride = 64
)

var memoryWorkloads = []workload{
	fresh("parked_1m", 1_000_000, func(count int) []figure { return stay(count, func() {}, false) }),
	fresh("deep_6k", 100_000, func(count int) []figure { return stay(count, use6KiB, true) }),
	fresh("deep_24k", 100_000, func(count int) []figure { return stay(count, use24KiB, true) }),
	once("idle_10k", idle),
}

//go:noinline
func use6KiB() {
	var frame [6 << 10]byte
	writeAndRead(frame[:])
}

//go:noinline
func use24KiB() {
	var frame [24 << 10]byte
	writeAndRead(frame[:])
}

//go:noinline
func writeAndRead(frame []byte) {
	for i := 0; i < len(frame); i += stackStride {
		frame[i]++
	}
	sum := 0
	for i := 0; i < len(frame); i += stackStride {
		sum += int(frame[i])
	}
	if sum != len(frame)/stackStride {
		panic("the stack does not hold what was written")
	}
}

// Goroutines that park on one channel.
type crowd struct {
	gate  chan struct{}
	ended sync.WaitGroup
}

// Returns when count goroutines have called first and are about to park.
func gather(count int, first func()) *crowd {
	c := &crowd{gate: make(chan struct{})}
	var arrived sync.WaitGroup
	arrived.Add(count)
	c.ended.Add(count)
	for range count {
		go func() {
			first()
			arrived.Done()
			if _, open := <-c.gate; open {
				panic("nothing is ever sent")
			}
			c.ended.Done()
		}()
	}
	arrived.Wait()
	return c
}

func (c *crowd) wake() {
	close(c.gate)
	c.ended.Wait()
}

// Measures a crowd that arrives, stays parked for a while if it rests, and is woken.
func stay(count int, first func(), rests bool) []figure {
	nanosSince := func(start time.Time) float64 { return float64(time.Since(start).Nanoseconds()) / float64(count) }
	before := residentBytes()
	gained := func() float64 { return float64(max(residentBytes()-before, 0)) / float64(count) }
	start := time.Now()
	c := gather(count, first)
	figures := []figure{{"make", nanosSince(start)}, {"bytes", gained()}}
	if rests {
		// Stacks shrink when the collector runs. It returns memory slowly unless told otherwise.
		runtime.GC()
		debug.FreeOSMemory()
		time.Sleep(rest)
		figures = append(figures, figure{"rest", gained()})
	}
	start = time.Now()
	c.wake()
	return append(figures, figure{"wake", nanosSince(start)})
}

// Measures microseconds of CPU and wake-ups, per second.
func idle() []figure {
	// The thread that reads the figures is not counted.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := gather(idleCount, func() {})
	time.Sleep(settling)
	start := time.Now()
	cpuBefore, sleepsBefore := cpuAndSleepsOfOthers()
	time.Sleep(rest)
	seconds := time.Since(start).Seconds()
	cpu, sleeps := cpuAndSleepsOfOthers()
	c.wake()
	return []figure{
		{"cpu", float64((cpu - cpuBefore).Nanoseconds()) / 1e3 / seconds},
		{"switches", float64(sleeps-sleepsBefore) / seconds},
	}
}

// Returns the bytes of memory of this process: its pages and the page tables for them.
func residentBytes() int {
	status := read("/proc/self/status")
	return (field(status, "VmRSS:") + field(status, "VmPTE:")) * 1024
}

// Returns the CPU time that all threads of this process except the caller have used so far, and how
// often one of them has gone to sleep.
func cpuAndSleepsOfOthers() (cpu time.Duration, sleeps int) {
	tasks, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		panic(err)
	}
	for _, task := range tasks {
		if filepath.Base(task) == strconv.Itoa(syscall.Gettid()) {
			continue
		}
		cpu += time.Duration(field(read(task+"/schedstat"), ""))
		sleeps += field(read(task+"/status"), "\nvoluntary_ctxt_switches:")
	}
	return cpu, sleeps
}

func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// Returns the number after a name.
func field(text, name string) int {
	_, after, found := strings.Cut(text, name)
	if !found {
		panic(fmt.Sprintf("no %q in %q", name, text))
	}
	number, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		panic(err)
	}
	return number
}
