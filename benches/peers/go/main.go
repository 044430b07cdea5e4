// Go's side of the peer benchmark: the same workloads and the same protocol as the Rust programs beside it.
package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"time"
)

// Timed repetitions in one process, after an untimed one that warms memory and caches.
const repetitions = 5

// A workload of count operations, whose figure is nanoseconds for each, or of none (count is 0), whose figure is
// milliseconds for the whole.
type workload struct {
	name  string
	count int
	run   func(count int) time.Duration
}

func each(name string, count int, run func(count int) time.Duration) workload {
	return workload{name, count, run}
}

func whole(name string, run func() time.Duration) workload {
	return workload{name, 0, func(int) time.Duration { return run() }}
}

func (w workload) repeat(scale float64) float64 {
	if w.count == 0 {
		return float64(w.run(0).Nanoseconds()) / 1e6
	}
	count := int(max(float64(w.count)*scale, 1))
	return float64(w.run(count).Nanoseconds()) / float64(count)
}

func refuse(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(2)
}

func main() {
	workloads := slices.Concat(chanWorkloads, selectWorkloads, ringWorkloads, sieveWorkloads, skynetWorkloads)
	args := os.Args[1:]
	if len(args) == 1 && args[0] == "list" {
		for _, w := range workloads {
			fmt.Println(w.name)
		}
		return
	}
	if len(args) != 2 && len(args) != 3 {
		refuse("usage: list, or: WORKLOAD WORKERS [SCALE]")
	}
	n := slices.IndexFunc(workloads, func(w workload) bool { return w.name == args[0] })
	if n < 0 {
		refuse("no such workload")
	}
	workers, err := strconv.Atoi(args[1])
	if err != nil || workers < 1 {
		refuse("WORKERS is a number")
	}
	scale := 1.0
	if len(args) == 3 {
		if scale, err = strconv.ParseFloat(args[2], 64); err != nil || scale <= 0 {
			refuse("SCALE is a positive number")
		}
	}
	runtime.GOMAXPROCS(workers)
	workloads[n].repeat(scale)
	for range repetitions {
		fmt.Println(args[0], workloads[n].repeat(scale))
	}
}
