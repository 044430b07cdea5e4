// Go's program in the peer benchmark, with the workloads and the protocol of the Rust programs.
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
const (
	repetitions = 3
	// The same for a workload whose repetition takes seconds.
	fewRepetitions = 1
)

// One of a workload's figures. Its name is the part after the dot in the table, or empty.
type figure struct {
	name  string
	value float64
}

type workload struct {
	name        string
	repetitions int
	run         func(scale float64) []figure
	// The figures that come from the first repetition, which is untimed for all others.
	first []string
}

// A workload of count operations, whose figure is nanoseconds per operation. run gets their number.
func each(name string, count int, run func(count int) time.Duration) workload {
	return workload{name, repetitions, func(scale float64) []figure {
		count := int(max(float64(count)*scale, 1))
		return []figure{{"", float64(run(count).Nanoseconds()) / float64(count)}}
	}, nil}
}

// A workload that cannot be divided, whose figure is milliseconds.
func whole(name string, run func() time.Duration) workload {
	return workload{name, repetitions, func(float64) []figure {
		return []figure{{"", float64(run().Nanoseconds()) / 1e6}}
	}, nil}
}

// The same in microseconds.
func wholeMicros(name string, run func() time.Duration) workload {
	return workload{name, repetitions, func(float64) []figure { return []figure{micros("", run())} }, nil}
}

// A workload with several figures, which takes seconds and is repeated less often.
func several(name string, run func() []figure) workload {
	return workload{name, fewRepetitions, func(float64) []figure { return run() }, nil}
}

// A workload with several figures that needs no warm-up.
func once(name string, run func() []figure) workload {
	return workload{name, 0, func(float64) []figure { return run() }, []string{"cpu", "switches"}}
}

// The same with count goroutines, where some of the figures are the bytes that they keep. Those come
// from the first repetition: later ones find memory that the first has freed, and gain less.
func fresh(name string, count int, run func(count int) []figure) workload {
	return workload{name, fewRepetitions, func(scale float64) []figure {
		return run(int(max(float64(count)*scale, 1)))
	}, []string{"bytes", "rest"}}
}

func micros(name string, duration time.Duration) figure {
	return figure{name, float64(duration.Nanoseconds()) / 1e3}
}

func refuse(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(2)
}

func main() {
	workloads := slices.Concat(spawnWorkloads, yieldWorkloads, wakeWorkloads, chanWorkloads, selectWorkloads,
		ringWorkloads, sieveWorkloads, skynetWorkloads, lockWorkloads, sleepWorkloads, timerWorkloads, ctxWorkloads,
		memoryWorkloads, hogWorkloads, fairWorkloads, echoWorkloads)
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
		refuse("unknown workload; `list` prints the names")
	}
	workers, err := strconv.Atoi(args[1])
	if err != nil || workers < 1 {
		refuse("WORKERS must be a positive number")
	}
	scale := 1.0
	if len(args) == 3 {
		if scale, err = strconv.ParseFloat(args[2], 64); err != nil || scale <= 0 {
			refuse("SCALE must be a positive number")
		}
	}
	runtime.GOMAXPROCS(workers)
	w := workloads[n]
	for n := range 1 + w.repetitions {
		for _, f := range w.run(scale) {
			if slices.Contains(w.first, f.name) != (n == 0) {
				continue
			}
			name := w.name
			if f.name != "" {
				name += "." + f.name
			}
			fmt.Println(name, f.value)
		}
	}
}
